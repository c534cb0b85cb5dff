"""Who shares memory with whom: a report that names storages by letter, never by address."""

from __future__ import annotations

import string

import torch

from helpers.tables import table


def shares_storage(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two tensors look at the same storage, be it at other places in it.

    Args:
        a, b: tensors of any shape, dtype and device.

    >>> row = torch.zeros(3, 4)
    >>> shares_storage(row, row[0]), shares_storage(row, row.clone())
    (True, False)
    """
    # Storages of zero bytes have no address to compare; nothing can be shared through them.
    address = a.untyped_storage().data_ptr()
    return address != 0 and address == b.untyped_storage().data_ptr()


def sharing(**tensors: torch.Tensor) -> None:
    """Display, for each named tensor, its view of memory: storage, shape, strides and offset.

    Tensors with the same letter in the column *storage* share it. Strides and offset count
    elements; bytes are those of the whole storage.

    Args:
        tensors: the tensors by the name they shall have in the table.
    """
    letters: list[torch.Tensor] = []
    rows = []
    for name, tensor in tensors.items():
        place = next((i for i, other in enumerate(letters) if shares_storage(tensor, other)), None)
        if place is None:
            place = len(letters)
            letters.append(tensor)
        rows.append(
            {
                "tensor": name,
                "storage": string.ascii_uppercase[place],
                "bytes": tensor.untyped_storage().nbytes(),
                "shape": tuple(tensor.shape),
                "strides": tuple(tensor.stride()),
                "offset": tensor.storage_offset(),
                "contiguous": tensor.is_contiguous(),
            }
        )
    table(rows)
