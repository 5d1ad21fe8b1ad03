"""A Ray cluster of its own, on which `serve run` runs a file. `cluster.py FILE` prints `ready` once the application
takes calls, and ends with its standard input."""

from __future__ import annotations

import sys
import time

import ray
from ray import serve
from ray.serve.schema import ApplicationStatus
from ray.serve.scripts import run

_NOT_YET = (ApplicationStatus.NOT_STARTED, ApplicationStatus.DEPLOYING)


def main(file: str) -> None:
    ray.init(num_cpus=8, include_dashboard=False, namespace="serve", _node_ip_address="127.0.0.1", log_to_driver=False)
    run.main([file, "--non-blocking"], standalone_mode=False)
    while (status := _status()) in _NOT_YET:
        time.sleep(0.1)
    assert status is ApplicationStatus.RUNNING, serve.status()
    print("ready", flush=True)
    sys.stdin.read()
    serve.shutdown()
    ray.shutdown()


def _status() -> ApplicationStatus:
    found = list(serve.status().applications.values())
    return found[0].status if found else ApplicationStatus.NOT_STARTED


if __name__ == "__main__":
    main(*sys.argv[1:])
