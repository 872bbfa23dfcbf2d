"""Renderers: each writes the whole derivation in one format.

prose        a step's sentences in a language: begin here
terminal, markdown, latex, html, json    one format each
"""
