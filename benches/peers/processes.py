"""Measures a pool of processes: processes.py EXECUTOR SUBJECT NUMBER...

Prints nanoseconds: of a trip, a task, an item, a start, a payload there and back.
"""

import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed, wait
from multiprocessing import Pool, get_context


def square(n):
    return n * n


def same(value):
    return value


def meet(folder, count):
    """Returns when that many processes are here."""
    open(os.path.join(folder, str(os.getpid())), "w").close()
    while len(os.listdir(folder)) < count:
        time.sleep(0.0005)


class Futures:
    """`ProcessPoolExecutor` and loky's."""

    def __init__(self, name, workers):
        if name == "loky":
            from loky import ProcessPoolExecutor as Executor
        else:
            Executor = ProcessPoolExecutor
        self.pool = Executor(workers)

    def call(self, f, x):
        return self.pool.submit(f, x).result()

    def burst(self, count):
        return sum(future.result() for future in as_completed([self.pool.submit(square, n) for n in range(count)]))

    def chunks(self, count, size):
        return sum(self.pool.map(square, range(count), chunksize=size))

    def close(self):
        self.pool.shutdown()


class Multiprocessing:
    """`multiprocessing.Pool`."""

    def __init__(self, workers):
        self.pool = Pool(workers)

    def call(self, f, x):
        return self.pool.apply(f, (x,))

    def burst(self, count):
        return sum(result.get() for result in [self.pool.apply_async(square, (n,)) for n in range(count)])

    def chunks(self, count, size):
        return sum(self.pool.imap(square, range(count), chunksize=size))

    def close(self):
        self.pool.terminate()


def pool_of(name, workers):
    return Multiprocessing(workers) if name == "pool" else Futures(name, workers)


def timed(f):
    start = time.perf_counter_ns()
    f()
    return time.perf_counter_ns() - start


def start(workers):
    with tempfile.TemporaryDirectory() as folder:

        def run():
            with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
                wait([pool.submit(meet, folder, workers) for _ in range(workers)])

        return timed(run)


def main():
    name, subject, *numbers = sys.argv[1:]
    numbers = [int(number) for number in numbers]
    if subject == "start":
        print(start(numbers[0]))
        return
    if subject == "trip":
        (count,) = numbers
        pool = pool_of(name, 1)
        for n in range(count // 10):
            pool.call(square, n)
        print(timed(lambda: [pool.call(square, n) for n in range(count)]) / count)
    elif subject == "burst":
        workers, count = numbers
        pool = pool_of(name, workers)
        pool.burst(count // 10)
        print(timed(lambda: pool.burst(count)) / count)
    elif subject == "chunks":
        workers, count, size = numbers
        pool = pool_of(name, workers)
        pool.chunks(count // 10, size)
        print(timed(lambda: pool.chunks(count, size)) / count)
    elif subject == "payload":
        (size,) = numbers
        pool = pool_of(name, 1)
        payload = b"x" * size
        pool.call(same, payload)
        print(min(timed(lambda: pool.call(same, payload)) for _ in range(3)))
    pool.close()


if __name__ == "__main__":
    main()
