"""Tar archives of strangers: which files are such, and headers that ask for no memory."""

import tarfile

ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_MAX_HEADER_BYTES = 2**20  # of a long name or of PAX records: whoever wrote more wants memory

_HEADERS = (
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
)


class SafeTarInfo(tarfile.TarInfo):
    """A header, of which a damaged one is an error and not the archive's end."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "SafeTarInfo":
        """Read a header.

        Raises:
            ReadError: it is damaged, or would take more memory than any name needs.
        """
        try:
            made = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if not buf.strip(b"\0"):  # the end
                raise
            raise tarfile.ReadError(str(error)) from None
        if made.type in _HEADERS and made.size > _MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {made.size} bytes")
        return made
