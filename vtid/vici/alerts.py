"""Alerts: the types of VICI's alert event, and which of them say why there is no CHILD_SA. Pure.

Source: strongSwan 6.1, src/libcharon/plugins/vici/README.md, "alert".
"""

from __future__ import annotations

FAILURES = frozenset(
    {
        "authorization-failed",
        "cert-exceeded-path-len",
        "cert-expired",
        "cert-no-issuer",
        "cert-policy-violation",
        "cert-revoked",
        "cert-untrusted-root",
        "cert-validation-failed",
        "half-open-timeout",
        "install-child-policy-failed",
        "install-child-sa-failed",
        "invalid-ike-spi",
        "local-auth-failed",
        "parse-error-body",
        "parse-error-header",
        "peer-addr-failed",
        "peer-auth-failed",
        "peer-init-unreachable",
        "proposal-mismatch-child",
        "proposal-mismatch-ike",
        "radius-not-responding",
        "retransmit-send-timeout",
        "ts-mismatch",
        "vip-failure",
    }
)
"""Types that may say why there is no CHILD_SA."""

OTHERS = frozenset(
    {
        "ike-sa-expired",
        "keep-on-child-sa-failure",
        "retransmit-receive",
        "retransmit-send",
        "retransmit-send-cleared",
        "shutdown-signal",
        "ts-narrowed",
        "unique-keep",
        "unique-replace",
    }
)
"""Types that are counted only; strongSwan 6.1 says `ike-sa-expired` of any IKE_SA that is ended."""

UNKNOWN = "other"
"""Stands for a type that is in neither."""
