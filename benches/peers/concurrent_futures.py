"""Fetches the files of a list: concurrent_futures.py LIST FOLDER WORKERS."""

import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

try:
    import httpx
except ImportError:
    from urllib.request import urlopen

    def get(url):
        with urlopen(url) as answer:
            return answer.read()
else:
    client = httpx.Client(limits=httpx.Limits(max_connections=None))

    def get(url):
        answer = client.get(url)
        answer.raise_for_status()
        return answer.content


def save(url, path):
    path.write_bytes(get(url))


list_path, folder, workers = sys.argv[1:]
with ThreadPoolExecutor(int(workers)) as executor:
    futures = []
    for line in Path(list_path).read_text().splitlines():
        url, name = line.split(" ", 1)
        futures.append(executor.submit(save, url, Path(folder, name)))
    for future in as_completed(futures):
        future.result()
