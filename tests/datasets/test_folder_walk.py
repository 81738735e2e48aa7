import os

from keras_transgen.datasets.folder_walk import found_files


def test_a_link_upwards_leads_to_nothing_beside_the_folder(tmp_path):
    data = tmp_path / "data"
    (data / "a").mkdir(parents=True)
    (data / "a" / "one.txt").write_text("1")
    (tmp_path / "neighbour").mkdir()
    (tmp_path / "neighbour" / "other.txt").write_text("2")
    os.symlink("../..", data / "a" / "loop")
    os.symlink("..", data / "a" / "back")
    os.symlink("/", data / "a" / "everything")
    for groups in ([], ["a"]):
        found = [os.path.basename(each.path) for each in found_files(str(data), groups)]
        assert found == ["one.txt"]


def test_a_link_to_a_folder_beside_is_followed(tmp_path):
    data = tmp_path / "data"
    (data / "a").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "two.txt").write_text("2")
    os.symlink("../../elsewhere", data / "a" / "more")
    (found,) = found_files(str(data), ["a"])
    assert (os.path.basename(found.path), found.group, found.links) == ("two.txt", "a", 2)
