"""Twins of tiny networks gain nothing by threads, and other tests run beside them."""

import torch

torch.set_num_threads(1)
