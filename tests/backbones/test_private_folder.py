import os
import stat

import pytest

from keras_transgen.backbones.private_folder import check_private_folder, make_private_folder
from keras_transgen.backbones.saved_model_folder import HandleError

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders away")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "cache").mkdir(mode=0o755)
    return tmp_path / "cache"


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o555, 0o500])
def test_a_folder_that_only_its_user_writes_to(folder, mode):
    folder.chmod(mode)
    check_private_folder(folder)


@pytest.mark.parametrize("mode", [0o757, 0o777, 0o1777, 0o702])
def test_a_folder_that_others_write_to(folder, mode):
    folder.chmod(mode)
    with pytest.raises(HandleError, match=f"mode {mode:o}"):
        check_private_folder(folder)


@as_root
@pytest.mark.parametrize(("group", "allowed"), [(0, True), (12345, False)])
def test_a_group_is_the_user_where_it_bears_the_users_number(folder, group, allowed):
    os.chown(folder, 0, group)
    folder.chmod(0o775)
    if allowed:
        check_private_folder(folder)
    else:
        with pytest.raises(HandleError, match="others may write"):
            check_private_folder(folder)


@as_root
def test_another_users_folder(folder, monkeypatch):
    os.chown(folder, 12345, 12345)
    with pytest.raises(HandleError, match="12345"):
        check_private_folder(folder)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    check_private_folder(folder)
    # A cache that an administrator fills for all.
    os.chown(folder, 0, 0)
    check_private_folder(folder)


def test_a_folder_that_others_may_move(folder):
    folder.parent.chmod(0o777)
    with pytest.raises(HandleError, match="in its place"):
        check_private_folder(folder)
    # As in /tmp, where each may touch their own only.
    folder.parent.chmod(0o1777)
    check_private_folder(folder)


def test_a_link_leads_to_what_is_judged(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    check_private_folder(tmp_path / "link")
    folder.chmod(0o777)
    with pytest.raises(HandleError, match=str(folder)):
        check_private_folder(tmp_path / "link")


def test_what_is_made_is_the_users_alone(tmp_path):
    before = os.umask(0)
    try:
        make_private_folder(tmp_path / "cache")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "cache").stat().st_mode) == 0o700
    make_private_folder(tmp_path / "deep" / "cache")
    assert stat.S_IMODE((tmp_path / "deep" / "cache").stat().st_mode) == 0o700
