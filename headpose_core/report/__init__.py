# SPDX-License-Identifier: Apache-2.0
"""``headpose report``: one page about a recording, which needs no network. Needs plotly.

``recording`` reads poses, ``statistics`` says what they amount to, ``figures`` and ``thumbnails``
show them, ``page`` puts it all into one HTML file.
"""
