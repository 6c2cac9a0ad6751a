"""`coalesced completion`: what a shell needs to complete our commands."""

import click

from coalesced.cli.errors import CliError


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script for SHELL.

    \b
    bash:  eval "$(coalesced completion bash)"      in ~/.bashrc
    zsh:   eval "$(coalesced completion zsh)"       in ~/.zshrc
    fish:  coalesced completion fish | source       in ~/.config/fish/config.fish
    """
    from click.shell_completion import get_completion_class

    from coalesced.cli.main import group

    kind = get_completion_class(shell)
    if kind is None:
        raise CliError(f"no completion for {shell}")
    click.echo(kind(group, {}, "coalesced", "_COALESCED_COMPLETE").source())
