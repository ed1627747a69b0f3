"""Questions about the method, one file each.

gmtalker sweep experiments/ablations/FILE.py --out DIR, then gmtalker table DIR
"""
