import multiprocessing

import pytest

from keras_transgen.cli.one_at_a_time import one_at_a_time


@one_at_a_time
def write(output, text="done"):
    if text is None:
        raise ValueError("no text")
    (output / "result.txt").write_text(text)
    return sorted(each.name for each in output.iterdir())


def test_a_command_has_its_folder_alone_and_leaves_no_lock(tmp_path):
    folder = tmp_path / "run"
    assert write(folder) == [".in_use", "result.txt"]
    assert [each.name for each in folder.iterdir()] == ["result.txt"]
    assert write(folder, "again") == [".in_use", "result.txt"]


def hold(folder, held, end):
    @one_at_a_time
    def wait(output):
        held.set()
        end.wait(60)

    wait(folder)


def test_a_second_command_is_refused_until_the_first_is_gone(tmp_path):
    context = multiprocessing.get_context("spawn")
    held, end = context.Event(), context.Event()
    first = context.Process(target=hold, args=(tmp_path, held, end))
    first.start()
    try:
        assert held.wait(60)
        with pytest.raises(ValueError, match=rf"Another command is at work.*process {first.pid} "):
            write(tmp_path)
        assert not (tmp_path / "result.txt").exists()
    finally:
        # However it ended.
        first.kill()
        first.join()
    assert "result.txt" in write(tmp_path)


def test_a_command_that_fails_lets_others_in_and_leaves_nothing(tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(ValueError, match="no text"):
        write(folder, None)
    assert not folder.exists()
    assert "result.txt" in write(folder)
