"""What is done with a candidate that has been judged."""

from typing import Any

from components.pusher.files import CARD_FILE
from serving.store.model_store import publish


def push(model_dir: str, base: str, blessings: dict[str, bool], model_card: str) -> dict[str, Any]:
    """Makes a candidate the newest served version if all its judges blessed it.

    Args:
        model_dir: Its SavedModel.
        base: Push destination: directory of the versions, local or gs://.
        blessings: By judge, whether it blessed the candidate.
        model_card: Markdown for people, which goes with the version.

    Returns:
        The JSON form: pushed; version and destination (the version's directory), or null; a reason for
        people; and the model card. A candidate that is the newest version already counts as pushed, as that version.

    Raises:
        UserError: If `base` cannot be written to, or `model_dir` is no whole SavedModel.
    """
    against = [judge for judge, blessed in blessings.items() if not blessed]
    if against:
        reason = f"not blessed by {' and '.join(against)}"
        return {
            "pushed": False,
            "version": None,
            "destination": None,
            "reason": reason,
            "model_card": model_card,
        }
    publication = publish(model_dir, base, {CARD_FILE: model_card.encode()})
    what = "pushed as" if publication.created else "the same content is served already, as"
    return {
        "pushed": True,
        "version": publication.version,
        "destination": publication.path,
        "reason": f"{what} version {publication.version}",
        "model_card": model_card,
    }
