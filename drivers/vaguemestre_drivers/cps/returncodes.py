"""The table from PKCS#11 return codes to situations a person can act upon.

Owns the table only. The binding raises one class a code; the table is keyed by the class's name, so that it can be read
and tested without the binding. A code that is not in the table is ``MIDDLEWARE_FAILED``, as the base class is.
Source: PKCS #11 v2.40, section 5.1; python-pkcs11 ``exceptions``.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from vaguemestre_core.cps import CpsError, CpsSituation

_S = CpsSituation

# Class of the binding → (code of the standard, situation).
RETURN_CODES: Final[Mapping[str, tuple[str, CpsSituation]]] = MappingProxyType(
    {
        # The card is not there, not any more, or not one.
        "TokenNotPresent": ("CKR_TOKEN_NOT_PRESENT", _S.CPS_ABSENT),
        "NoSuchToken": ("CKR_SLOT_ID_INVALID", _S.CPS_ABSENT),
        "SlotIDInvalid": ("CKR_SLOT_ID_INVALID", _S.CPS_ABSENT),
        "DeviceRemoved": ("CKR_DEVICE_REMOVED", _S.CPS_REMOVED),
        "SessionHandleInvalid": ("CKR_SESSION_HANDLE_INVALID", _S.CPS_REMOVED),
        "SessionClosed": ("CKR_SESSION_CLOSED", _S.CPS_REMOVED),
        "ObjectHandleInvalid": ("CKR_OBJECT_HANDLE_INVALID", _S.CPS_REMOVED),
        "KeyHandleInvalid": ("CKR_KEY_HANDLE_INVALID", _S.CPS_REMOVED),
        "TokenNotRecognised": ("CKR_TOKEN_NOT_RECOGNIZED", _S.CPS_UNREADABLE),
        "DeviceError": ("CKR_DEVICE_ERROR", _S.CPS_UNREADABLE),
        "DeviceMemory": ("CKR_DEVICE_MEMORY", _S.CPS_UNREADABLE),
        "MultipleTokensReturned": ("CKR_SLOT_ID_INVALID", _S.CPS_SEVERAL),
        # The PIN.
        "PinIncorrect": ("CKR_PIN_INCORRECT", _S.PIN_WRONG),
        "PinInvalid": ("CKR_PIN_INVALID", _S.PIN_MALFORMED),
        "PinLenRange": ("CKR_PIN_LEN_RANGE", _S.PIN_MALFORMED),
        "PinLocked": ("CKR_PIN_LOCKED", _S.PIN_BLOCKED),
        "PinExpired": ("CKR_PIN_EXPIRED", _S.PIN_TO_BE_CHANGED),
        "PinTooWeak": ("CKR_PIN_TOO_WEAK", _S.PIN_TO_BE_CHANGED),
        "UserPinNotInitialized": ("CKR_USER_PIN_NOT_INITIALIZED", _S.PIN_TO_BE_CHANGED),
        "UserNotLoggedIn": ("CKR_USER_NOT_LOGGED_IN", _S.PIN_NEEDED),
        # Another program, another session, too many of them.
        "SessionCount": ("CKR_SESSION_COUNT", _S.MIDDLEWARE_BUSY),
        "SessionExists": ("CKR_SESSION_EXISTS", _S.MIDDLEWARE_BUSY),
        "SessionReadOnlyExists": ("CKR_SESSION_READ_ONLY_EXISTS", _S.MIDDLEWARE_BUSY),
        "SessionReadWriteSOExists": ("CKR_SESSION_READ_WRITE_SO_EXISTS", _S.MIDDLEWARE_BUSY),
        "AnotherUserAlreadyLoggedIn": ("CKR_USER_ANOTHER_ALREADY_LOGGED_IN", _S.MIDDLEWARE_BUSY),
        "UserAlreadyLoggedIn": ("CKR_USER_ALREADY_LOGGED_IN", _S.MIDDLEWARE_BUSY),
        "UserTooManyTypes": ("CKR_USER_TOO_MANY_TYPES", _S.MIDDLEWARE_BUSY),
        "OperationActive": ("CKR_OPERATION_ACTIVE", _S.MIDDLEWARE_BUSY),
        "FunctionCancelled": ("CKR_FUNCTION_CANCELED", _S.MIDDLEWARE_BUSY),
        # What this card cannot do.
        "NoSuchKey": ("CKR_KEY_HANDLE_INVALID", _S.CPS_KEY_MISSING),
        "MultipleObjectsReturned": ("CKR_KEY_HANDLE_INVALID", _S.CPS_KEY_MISSING),
        "MechanismInvalid": ("CKR_MECHANISM_INVALID", _S.CPS_ALGORITHM_UNSUPPORTED),
        "MechanismParamInvalid": ("CKR_MECHANISM_PARAM_INVALID", _S.CPS_ALGORITHM_UNSUPPORTED),
        "KeyTypeInconsistent": ("CKR_KEY_TYPE_INCONSISTENT", _S.CPS_ALGORITHM_UNSUPPORTED),
        "KeySizeRange": ("CKR_KEY_SIZE_RANGE", _S.CPS_ALGORITHM_UNSUPPORTED),
        "FunctionNotSupported": ("CKR_FUNCTION_NOT_SUPPORTED", _S.CPS_ALGORITHM_UNSUPPORTED),
        "DataLenRange": ("CKR_DATA_LEN_RANGE", _S.CPS_ALGORITHM_UNSUPPORTED),
        "DataInvalid": ("CKR_DATA_INVALID", _S.CPS_ALGORITHM_UNSUPPORTED),
    }
)

# Codes that need no sentence of their own: the middleware or its host fails, or we called it wrongly.
FAILURES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ArgumentsBad": "CKR_ARGUMENTS_BAD",
        "AttributeReadOnly": "CKR_ATTRIBUTE_READ_ONLY",
        "AttributeSensitive": "CKR_ATTRIBUTE_SENSITIVE",
        "AttributeTypeInvalid": "CKR_ATTRIBUTE_TYPE_INVALID",
        "AttributeValueInvalid": "CKR_ATTRIBUTE_VALUE_INVALID",
        "DomainParamsInvalid": "CKR_DOMAIN_PARAMS_INVALID",
        "EncryptedDataInvalid": "CKR_ENCRYPTED_DATA_INVALID",
        "EncryptedDataLenRange": "CKR_ENCRYPTED_DATA_LEN_RANGE",
        "ExceededMaxIterations": "CKR_EXCEEDED_MAX_ITERATIONS",
        "FunctionFailed": "CKR_FUNCTION_FAILED",
        "FunctionRejected": "CKR_FUNCTION_REJECTED",
        "GeneralError": "CKR_GENERAL_ERROR",
        "HostMemory": "CKR_HOST_MEMORY",
        "KeyIndigestible": "CKR_KEY_INDIGESTIBLE",
        "KeyNeeded": "CKR_KEY_NEEDED",
        "KeyNotNeeded": "CKR_KEY_NOT_NEEDED",
        "KeyNotWrappable": "CKR_KEY_NOT_WRAPPABLE",
        "KeyUnextractable": "CKR_KEY_UNEXTRACTABLE",
        "NoEvent": "CKR_NO_EVENT",
        "OperationNotInitialized": "CKR_OPERATION_NOT_INITIALIZED",
        "PKCS11Error": "CKR_VENDOR_DEFINED",
        "PublicKeyInvalid": "CKR_PUBLIC_KEY_INVALID",
        "RandomNoRNG": "CKR_RANDOM_NO_RNG",
        "RandomSeedNotSupported": "CKR_RANDOM_SEED_NOT_SUPPORTED",
        "SessionReadOnly": "CKR_SESSION_READ_ONLY",
        "SignatureInvalid": "CKR_SIGNATURE_INVALID",
        "SignatureLenRange": "CKR_SIGNATURE_LEN_RANGE",
        "TemplateIncomplete": "CKR_TEMPLATE_INCOMPLETE",
        "TemplateInconsistent": "CKR_TEMPLATE_INCONSISTENT",
        "TokenWriteProtected": "CKR_TOKEN_WRITE_PROTECTED",
        "UnwrappingKeyHandleInvalid": "CKR_UNWRAPPING_KEY_HANDLE_INVALID",
        "UnwrappingKeySizeRange": "CKR_UNWRAPPING_KEY_SIZE_RANGE",
        "UnwrappingKeyTypeInconsistent": "CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT",
        "WrappedKeyInvalid": "CKR_WRAPPED_KEY_INVALID",
        "WrappedKeyLenRange": "CKR_WRAPPED_KEY_LEN_RANGE",
        "WrappingKeyHandleInvalid": "CKR_WRAPPING_KEY_HANDLE_INVALID",
        "WrappingKeySizeRange": "CKR_WRAPPING_KEY_SIZE_RANGE",
        "WrappingKeyTypeInconsistent": "CKR_WRAPPING_KEY_TYPE_INCONSISTENT",
    }
)


def situation_of(error: BaseException) -> CpsError:
    """Return the error to raise for an exception of the binding; it carries the standard's code and nothing else."""
    name = type(error).__name__
    found = RETURN_CODES.get(name)
    if found is not None:
        return CpsError(found[1], rv=found[0])
    return CpsError(CpsSituation.MIDDLEWARE_FAILED, rv=FAILURES.get(name, FAILURES["PKCS11Error"]))
