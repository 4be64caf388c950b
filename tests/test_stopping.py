from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest

from pixelcluster.stopping import Interrupted, StopSignals


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_raises_and_the_handlers_come_back(number: int, code: int) -> None:
    before = signal.getsignal(number)
    with pytest.raises(Interrupted) as caught, StopSignals():
        signal.raise_signal(number)
    assert caught.value.exit_code == code
    assert signal.getsignal(number) is before


def test_deferred_it_is_noted() -> None:
    with StopSignals() as stop:
        stop.deferred = True
        signal.raise_signal(signal.SIGTERM)
        assert stop.received == signal.SIGTERM
        assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL


def test_the_second_ends_the_process_at_once() -> None:
    code = (
        "import signal, time\n"
        "from pixelcluster.stopping import StopSignals\n"
        "with StopSignals() as stop:\n"
        "    stop.deferred = True\n"
        "    signal.raise_signal(signal.SIGTERM)\n"
        "    print('going on', flush=True)\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "    print('still here')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "going on\n"
    assert done.returncode == -signal.SIGINT


def test_outside_the_main_thread_nothing_is_handled() -> None:
    before, inside = signal.getsignal(signal.SIGINT), []

    def work() -> None:
        with StopSignals():
            inside.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert inside == [before]
