"""The command line: arguments and printing only; every heavy import is inside the command that needs it.

commands            the commands and their options: begin here
explain             the work of `softxent explain`          explain_arguments   its arguments, as a record
explain_images      a row of data, and a model's view of it
report              the report of `softxent fit`            streams             output, notes, one line for an error
"""

from softxent.cli.commands import app, main

__all__ = ["app", "main"]
