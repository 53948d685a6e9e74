"""The words in which requests and offers are made: directions, purposes, kinds of flexibility."""

from __future__ import annotations

from gridsignal_schemas.values import Symbol


class Direction(Symbol):
    UNKNOWN = "UNKNOWN"
    LOAD_DECREASE = "LOAD_DECREASE"
    LOAD_INCREASE = "LOAD_INCREASE"


class RunMode(Symbol):
    UNKNOWN = "UNKNOWN"
    LIVE = "LIVE"
    TEST_ACTIVATION = "TEST_ACTIVATION"
    DRY_RUN = "DRY_RUN"


class Purpose(Symbol):
    UNKNOWN = "UNKNOWN"
    BALANCING = "BALANCING"
    CONGESTION = "CONGESTION"
    ADEQUACY = "ADEQUACY"
    PORTFOLIO = "PORTFOLIO"


class Visibility(Symbol):
    UNKNOWN = "UNKNOWN"
    PUBLIC = "PUBLIC"
    LISTED = "LISTED"


class Pricing(Symbol):
    UNKNOWN = "UNKNOWN"
    PAY_AS_BID = "PAY_AS_BID"
    PAY_AS_CLEARED = "PAY_AS_CLEARED"
    REGULATED = "REGULATED"
    UNPAID = "UNPAID"


class Firmness(Symbol):
    UNKNOWN = "UNKNOWN"
    VOLUNTARY = "VOLUNTARY"
    CONTRACTED = "CONTRACTED"
    MANDATORY = "MANDATORY"


class ClearingMode(Symbol):
    UNKNOWN = "UNKNOWN"
    AUTOMATIC = "AUTOMATIC"
    BY_HAND = "BY_HAND"


class FlexibilityKind(Symbol):
    UNKNOWN = "UNKNOWN"
    SHED = "SHED"
    SHIFT_TIME = "SHIFT_TIME"
    SHIFT_SITE = "SHIFT_SITE"
    BATTERY = "BATTERY"
    ON_SITE_GENERATION = "ON_SITE_GENERATION"
    COOLING = "COOLING"


class Workload(Symbol):
    UNKNOWN = "UNKNOWN"
    TRAINING = "TRAINING"
    FINE_TUNING = "FINE_TUNING"
    BATCH = "BATCH"
    INFERENCE = "INFERENCE"
    OTHER = "OTHER"


class Decision(Symbol):
    UNKNOWN = "UNKNOWN"
    ACCEPTED_FOR_CLEARING = "ACCEPTED_FOR_CLEARING"
    REJECTED = "REJECTED"
    AWARDED = "AWARDED"
    STANDBY = "STANDBY"
    NOT_SELECTED = "NOT_SELECTED"
    FAILED_AWARD = "FAILED_AWARD"
    RELEASED = "RELEASED"
    EXPIRED = "EXPIRED"
    WITHDRAWN = "WITHDRAWN"
