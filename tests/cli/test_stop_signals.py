"""A signal waits for whoever saves something, and ends a command at once otherwise."""

import os
import signal

import pytest

from keras_transgen.cli.stop_signals import Stopped, StopSignals


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_nobody_waits(number, code):
    before = signal.getsignal(number)
    with pytest.raises(Stopped) as stopped, StopSignals():
        os.kill(os.getpid(), number)
    assert stopped.value.code == code
    assert signal.getsignal(number) is before


def test_the_second_one_ends_at_once(capfd):
    with StopSignals() as signals:
        signals.waits = True
        os.kill(os.getpid(), signal.SIGINT)
        assert signals.received == signal.SIGINT
        assert "once more stops at once" in capfd.readouterr().err
        with pytest.raises(Stopped) as stopped:
            os.kill(os.getpid(), signal.SIGTERM)
    assert stopped.value.code == 143
