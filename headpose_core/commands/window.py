# SPDX-License-Identifier: Apache-2.0
"""A window for live pictures, by Tk: the OpenCV that the library installs has none."""

from __future__ import annotations

import os

import numpy as np

from headpose_core.types import Image


def window_problem() -> str:
    """Why no window can be opened here, in words; "" when one can."""
    if not os.environ.get("DISPLAY"):
        return "there is no display (DISPLAY is not set)"
    try:
        import tkinter
    except ImportError:
        return "Python's tkinter is missing (apt install python3-tk)"
    try:
        tkinter.Tk().destroy()
    except tkinter.TclError as error:
        return f"the display does not answer ({error})"
    return ""


class Window:
    """Shows pictures, (H, W, 3) uint8 RGB. is_closed: by its user, or with q or Escape."""

    def __init__(self, title: str) -> None:
        import tkinter

        self._tk = tkinter
        self._root = tkinter.Tk()
        self._root.title(title)
        self._root.protocol("WM_DELETE_WINDOW", self._on_close)
        for key in ("q", "<Escape>"):
            self._root.bind(key, lambda event: self._on_close())
        self._label = tkinter.Label(self._root)
        self._label.pack()
        self.is_closed = False

    def show(self, image: Image) -> None:
        """Show a picture until the next one."""
        height, width = image.shape[:2]
        data = b"P6 %d %d 255\n" % (width, height) + np.ascontiguousarray(image).tobytes()
        self._picture = self._tk.PhotoImage(data=data, format="PPM")  # Tk keeps no reference
        self._label.configure(image=self._picture)
        self._root.update()

    def close(self) -> None:
        """Take the window away."""
        self._root.destroy()

    def _on_close(self) -> None:
        self.is_closed = True
