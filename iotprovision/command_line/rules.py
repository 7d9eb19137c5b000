"""Combinations that make no sense, a row each. What is of no use in a run is refused where it was typed, and left out
where it is a setting for all runs.

Each rule looks at what was said, and at nothing that another rule made of it; so their order means nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from iotprovision.command_line.given import Asked
from iotprovision.command_line.options import ACTIONS, NEWER_ACTIONS
from iotprovision.errors import UsageError
from iotprovision.methods import default, find, methods, of_cloud
from iotprovision.methods.method import Method
from iotprovision.option import Option


@dataclass(frozen=True)
class Refused:
    """It goes no further.

    :param name: of the option that is to blame; empty for the words
    """

    name: str
    error: UsageError


@dataclass(frozen=True)
class LeftOut:
    """As if an option had not been given."""

    name: str


@dataclass(frozen=True)
class Settled:
    """The value that is meant."""

    name: str
    value: Any


Verdict = Refused | LeftOut | Settled
Rule = Callable[[Asked], Iterable[Verdict]]


def settled(asked: Asked, rules: Sequence[Rule] | None = None) -> dict[str, Any]:
    """The values that are meant, by their names.

    :raises UsageError: a rule refuses what was asked for; of several the one about the option that was declared first
    """
    verdicts = [verdict for rule in (RULES if rules is None else rules) for verdict in rule(asked)]
    refused = [verdict for verdict in verdicts if isinstance(verdict, Refused)]
    if refused:
        order = ["", *(option.name for option in asked.takes)]
        raise min(refused, key=lambda one: (order.index(one.name), one.error.what)).error
    values = {name: given.value for name, given in asked.values.items()}
    values |= {verdict.name: verdict.value for verdict in verdicts if isinstance(verdict, Settled)}
    left_out = {verdict.name for verdict in verdicts if isinstance(verdict, LeftOut)}
    return {name: value for name, value in values.items() if name not in left_out}


def stands_alone(asked: Asked) -> Iterator[Verdict]:
    """A command that does no actions goes with no word."""
    words = [*asked.words, *([asked.value("simulate")] if asked.simulate_is_word else [])]
    if asked.does_actions or not words:
        return
    if words[0] in (*ACTIONS, *NEWER_ACTIONS, *asked.commands):
        error = UsageError(
            f"{asked.command} stands alone: it goes with no action and no other command",
            f"{words[0]} was asked for too.",
            f"iotprovision {asked.command}, and then iotprovision {words[0]}",
        )
    else:
        error = UsageError(f"{asked.command} takes no word {words[0]!r}", hint=f"iotprovision {asked.command} --help")
    yield Refused("", error)


def actions_are_known(asked: Asked) -> Iterator[Verdict]:
    """Words are actions, in their newer spellings too."""
    if not asked.does_actions:
        return
    unknown = [word for word in asked.all_words if word not in (*ACTIONS, *NEWER_ACTIONS)]
    if unknown:
        yield Refused("", UsageError(f"Unknown action {unknown[0]!r}", hint=f"one of {', '.join(ACTIONS)}"))
    if "none" in asked.all_words and len(asked.all_words) > 1:
        yield Refused("", UsageError("The action none goes with no other action."))
    yield Settled("actions", asked.actions)
    yield LeftOut("wincupgrade")  # it is one of the actions


def simulated_kit(asked: Asked) -> Iterator[Verdict]:
    """A simulated kit that was not named is the usual one."""
    if asked.simulate_is_word or asked.value("simulate") == "":
        from iotprovision.runs.bench import default_simulated_kit

        yield Settled("simulate", default_simulated_kit())


def access_point_that_a_kit_can_join(asked: Asked) -> Iterator[Verdict]:
    """Only some emulated kits have programs that use a radio."""
    name = "simulated_access_point"
    if name not in asked.values:
        return
    from iotprovision.runs.bench import kits_with_radio

    with_radio = kits_with_radio()
    if (asked.value("simulate") or "").lower().partition("#")[0] not in with_radio:
        yield _of_no_use(
            asked,
            name,
            UsageError(
                "A simulated access point was given, and no emulated kit that could join it.",
                f"Programs use a radio on {' and '.join(with_radio)} only.",
                f"iotprovision --simulate {with_radio[0]}",
            ),
        )


def needed_action(asked: Asked) -> Iterator[Verdict]:
    """An option that is for one action, or for one action in one cloud, and what it is for is not asked for."""
    for option in asked.takes:
        need = option.need
        if asked.does_actions and need and option.name in asked.values and not _is_of_use(option, asked):
            hint = need.hint.format(value=asked.value(option.name))
            yield _of_no_use(asked, option.name, UsageError(need.what, need.why, hint))


def option_of_another_cloud(asked: Asked) -> Iterator[Verdict]:
    """What names something in a cloud that the run is not for."""
    for option in asked.takes:
        if option.name not in asked.values or _is_of_cloud(option, asked) or (asked.does_actions and option.need):
            continue
        owner = next(method for method in methods() if option in method.options)
        command = "" if asked.does_actions else f"{asked.command} "
        yield _of_no_use(
            asked,
            option.name,
            UsageError(
                f"{option.long} names {option.stands_for}, and this run is for {_cloud(asked)}",
                "Nothing was done in either.",
                f"iotprovision {command}-c {owner.cloud} {option.long} NAME",
            ),
        )


def alternatives(asked: Asked) -> Iterator[Verdict]:
    """Of options that exclude each other, the one that was typed is meant, whichever the settings name; and so on."""
    for option in asked.takes:
        if not option.alternatives or option.name not in asked.values or not _is_of_use(option, asked):
            continue
        for other in asked.takes:
            if other.alternatives != option.alternatives or other.name == option.name:
                continue
            if asked.origin(other.name) > asked.origin(option.name):
                yield LeftOut(option.name)
            elif asked.origin(other.name) == asked.origin(option.name):  # typed ones do not come as far as this
                both = " and ".join(sorted((option.keys[0], other.keys[0])))
                error = UsageError(
                    f"{both} are both among the settings, and only one goes",
                    hint="remove one, or type the one you mean",
                )
                yield Refused(option.name, error)


def passphrase_of_a_network(asked: Asked) -> Iterator[Verdict]:
    """A passphrase that was typed is for a network."""
    for name in ("wifi_passphrase", "wifi_passphrase_file"):
        if asked.is_typed(name) and asked.value("wifi_ssid") is None:
            yield Refused(
                name,
                UsageError("A Wi-Fi passphrase was given without a network.", hint="Name the network with -ssid."),
            )


def one_passphrase(asked: Asked) -> Iterator[Verdict]:
    """A passphrase comes before a file of passphrases that something weaker names."""
    if asked.origin("wifi_passphrase") > asked.origin("wifi_passphrase_file"):
        yield LeftOut("wifi_passphrase_file")
    if asked.is_typed("wifi_passphrase") and not asked.is_typed("wifi_passphrase_file"):
        yield Settled("wifi_passphrase_can_be_seen", True)


def cloud_that_is_meant(asked: Asked) -> Iterator[Verdict]:
    """One is meant, even where none was named."""
    if _takes("cloud", asked):
        yield Settled("cloud", _cloud(asked))


def method_of_the_cloud(asked: Asked) -> Iterator[Verdict]:
    """The method is one of the cloud, by the name that the program has for it."""
    if not _takes("method", asked):
        return
    cloud, name = _cloud(asked), asked.value("method")
    method = find(cloud, name) if name else None
    if method:
        yield Settled("method", method.name)
        return
    if name and asked.is_typed("method"):
        owners = " and ".join(dict.fromkeys(method.shown for method in methods() if name in _all_names(method)))
        ways, shown = of_cloud(cloud), default(cloud).shown
        only = f"There is one way only to provision for {shown}."
        several = f"For {shown} there are {', '.join(way.name for way in ways)}."
        error = UsageError(
            f"The method {name} is one of {owners}.", only if len(ways) == 1 else several, f"iotprovision -c {cloud}"
        )
        yield Refused("method", error)
    if asked.does_actions:
        yield Settled("method", default(cloud).name)
    elif name:
        yield LeftOut("method")


RULES: tuple[Rule, ...] = (
    stands_alone,
    actions_are_known,
    simulated_kit,
    access_point_that_a_kit_can_join,
    needed_action,
    option_of_another_cloud,
    alternatives,
    passphrase_of_a_network,
    one_passphrase,
    cloud_that_is_meant,
    method_of_the_cloud,
)


def _of_no_use(asked: Asked, name: str, error: UsageError) -> Verdict:
    return Refused(name, error) if asked.is_typed(name) else LeftOut(name)


def _takes(name: str, asked: Asked) -> bool:
    return any(option.name == name for option in asked.takes)


def _cloud(asked: Asked) -> str:
    return str(asked.value("cloud") or default().cloud)


def _is_of_use(option: Option, asked: Asked) -> bool:
    """Whether what an option is for is asked for."""
    lacks_action = asked.does_actions and option.need is not None and option.need.action not in asked.actions
    return _is_of_cloud(option, asked) and not lacks_action


def _is_of_cloud(option: Option, asked: Asked) -> bool:
    """Whether an option goes with the cloud that is meant. Where a command works with no cloud alone, all do."""
    owners = {method.cloud for method in methods() if option in method.options}
    return not owners or not _takes("cloud", asked) or _cloud(asked) in owners


def _all_names(method: Method) -> tuple[str, ...]:
    return (method.name, *method.other_names)
