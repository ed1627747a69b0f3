"""Measuring a talker: metrics, protocol, embedding, report. Uses inference, never train."""
