"""A tree of files is found at its path and at the file:// address of that path."""

from pathlib import Path

from churn.file_tree import FileTree


def test_a_folder_whose_name_an_address_has_to_write_otherwise_is_found_at_its_address(tmp_path: Path) -> None:
    folder = tmp_path / "state folder 50%"
    at_its_path, at_its_address = FileTree(str(folder)), FileTree(folder.as_uri())
    written = at_its_address.below("1").write("model.json", [b"{", b"}"])
    assert (folder / "1" / "model.json").read_bytes() == b"{}"
    assert at_its_path.sizes() == at_its_address.sizes() == {"1/model.json": 2}
    assert at_its_address.folders() == ["1"]
    assert at_its_address.fingerprint("1/model.json") == written
