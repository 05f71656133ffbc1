from pathlib import Path

from litevision.data.exact_duplicates import exact_duplicates


def test_files_with_the_same_bytes(tmp_path: Path) -> None:
    long = bytes(range(256)) * 64
    contents = [b"one", b"two", b"one", b"", b"", long, b"x" + long[1:], long, None, b"one"]
    paths = [tmp_path / str(number) for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        if content is not None:
            path.write_bytes(content)
    assert exact_duplicates(paths) == [[0, 2, 9], [5, 7]]
    assert exact_duplicates([*paths[:2], paths[1], Path("a\0b")]) == [[1, 2]]


def test_most_files_are_not_read(tmp_path: Path) -> None:
    paths = [tmp_path / str(number) for number in range(5)]
    for number, path in enumerate(paths):
        path.write_bytes(b"x" * (number + 1))
        path.chmod(0)
    assert exact_duplicates(paths) == []
