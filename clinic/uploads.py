"""Files that somebody brings: kept in memory while they are read, and nowhere afterwards."""

from typing import Any

from django.core.files.uploadhandler import MemoryFileUploadHandler, StopUpload

from clinic.csv_import.files import LARGEST


class InMemoryUploadHandler(MemoryFileUploadHandler):
    """Keeps an uploaded file in memory, whatever its size, and breaks off one that is too large to be meant."""

    received = 0

    @property
    def too_large(self) -> bool:
        """Whether it was broken off."""
        return self.received > LARGEST

    def handle_raw_input(self, *args: Any, **kwargs: Any) -> None:
        self.activated = True
        self.received = 0

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        self.received += len(raw_data)
        if self.too_large:
            raise StopUpload(connection_reset=False)
        super().receive_data_chunk(raw_data, start)
