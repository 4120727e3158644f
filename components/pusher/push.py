"""Pushing a candidate that has been judged."""

import posixpath
from collections.abc import Mapping
from types import MappingProxyType

from components.pusher.files import CARD_FILE, LITERT_FILE
from components.pusher.report import PushResult
from serving.store.model_store import publish
from trainer.base.files import exists


def push(
    model_dir: str,
    base: str,
    blessings: dict[str, bool],
    model_card: str,
    extra_files: Mapping[str, bytes] = MappingProxyType({}),
) -> PushResult:
    """Makes a candidate the newest served version if all its judges blessed it.

    Args:
        model_dir: Local directory of the candidate's SavedModel.
        base: Push destination: directory of the versions, local or gs://.
        blessings: Whether each judge blessed the candidate, by the judge's name.
        model_card: Markdown for people, which goes with the version.
        extra_files: Content of further files that go with it, by their path in the version.

    Returns:
        What was done. A candidate that is the newest version already counts as pushed, as that version.

    Raises:
        UserError: If `base` cannot be written to, or `model_dir` is no whole SavedModel.
    """
    against = [judge for judge, blessed in blessings.items() if not blessed]
    if against:
        reason = f"not blessed by {' and '.join(against)}"
        return PushResult(pushed=False, version=None, destination=None, reason=reason, model_card=model_card)
    publication = publish(model_dir, base, {CARD_FILE: model_card.encode(), **extra_files})
    what = "pushed as" if publication.created else "the same content is served already, as"
    reason = f"{what} version {publication.version}"
    file = posixpath.join(publication.path, LITERT_FILE) if LITERT_FILE in extra_files else None
    if file and not exists(file):
        file = None
        reason += ", which was pushed without a LiteRT file: yt8m export writes one"
    return PushResult(
        pushed=True,
        version=publication.version,
        destination=publication.path,
        reason=reason,
        litert=file,
        model_card=model_card,
    )
