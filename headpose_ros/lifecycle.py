# SPDX-License-Identifier: Apache-2.0
"""What rclpy's lifecycle nodes leave out."""

from __future__ import annotations

from lifecycle_msgs.srv import ChangeState
from rclpy.lifecycle import LifecycleNode


def answer_refused_transitions(node: LifecycleNode) -> None:
    """Answer requests for a transition that the state does not have with success=False.

    rclpy raises in its executor instead: the caller waits for ever.
    """
    (service,) = (s for s in node.services if s.srv_type is ChangeState)
    change_state = service.callback

    def answer(
        request: ChangeState.Request, response: ChangeState.Response
    ) -> ChangeState.Response:
        try:
            return change_state(request, response)
        except RuntimeError as error:  # RCLError is one
            reason = str(error).partition(", at ")[0]  # without the place in rcl's source
            node.get_logger().error(f"transition refused: {reason}")
            response.success = False
            return response

    service.callback = answer
