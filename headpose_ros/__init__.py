# SPDX-License-Identifier: Apache-2.0
# One package from two places: these files and the messages that the build generates.
__path__ = __import__("pkgutil").extend_path(__path__, __name__)
