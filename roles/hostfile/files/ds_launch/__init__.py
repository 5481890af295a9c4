# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""ds-launch: looks at all nodes of a cluster, starts a training on them, and ends all of it when a part of it ends.

Standard library only, Python 3.8 or newer: the Python of the training environment runs it.
"""
