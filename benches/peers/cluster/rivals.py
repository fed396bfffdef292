"""Measures dask.distributed and Celery: rivals.py dask|celery CALLS TRIPS BYTES.

Prints seconds, one figure a line: of a call of a burst; and, for dask, of a call that is
waited for, and of a payload there and back. `celery -A rivals worker` is a worker of
Celery's; both find Redis by the variable REDIS.
"""

import os
import sys
import time


def same(value):
    return value


try:
    from celery import Celery

    redis = os.environ.get("REDIS", "redis://localhost")
    app = Celery("rivals", broker=redis, backend=redis)
    same_task = app.task(name="same")(same)
except ImportError:
    app = None


def timed(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def dask(calls, trips, size):
    from distributed import Client, LocalCluster, as_completed

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        with Client(cluster) as client:

            def submit(value):
                return client.submit(same, value, pure=False)

            def burst(count):
                futures = [submit(n) for n in range(count)]
                assert sum(result for _, result in as_completed(futures, with_results=True)) == sum(range(count))

            burst(100)
            print(timed(lambda: burst(calls)) / calls)
            print(timed(lambda: [submit(n).result() for n in range(trips)]) / trips)
            payload = os.urandom(size)

            def there_and_back():
                assert submit(payload).result() == payload

            there_and_back()
            print(timed(there_and_back))


def celery(calls):
    from celery import group

    def burst(count):
        results = group(same_task.s(n) for n in range(count)).apply_async().get(timeout=3600)
        assert sum(results) == sum(range(count))

    burst(100)
    print(timed(lambda: burst(calls)) / calls)


if __name__ == "__main__":
    numbers = [int(number) for number in sys.argv[2:]]
    if sys.argv[1] == "dask":
        dask(*numbers)
    else:
        celery(numbers[0])
