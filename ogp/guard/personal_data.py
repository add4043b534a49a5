"""Kinds of personal data: what each is found by, and which are looked for unless settings say so.

A table of names, so that settings are judged without importing anything that finds them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

BEST, ENOUGH = 1.0, 0.5
"""Scores of findings: sure; by its shape alone."""
LIFT, LEAST_WITH_WORD, MOST_WITHOUT_WORD = 0.35, 0.4, 0.2
"""A word that tells what a number is lifts its score; without one some numbers count for little."""


@dataclass(frozen=True, slots=True)
class Found:
    """A piece of a text that may be personal data."""

    start: int
    end: int
    label: str
    score: float


@dataclass(frozen=True, slots=True)
class Entity:
    """One kind of personal data."""

    name: str
    recogniser: str = ""
    """Class of presidio whose patterns and checksums find it; empty: ours do, or a model."""
    is_default: bool = True
    needs_word: bool = False
    """Shape and checksum say little: one of ten numbers of that length passes."""
    words: tuple[str, ...] = ()
    """Regular expressions of words before it that tell what it is, in its country's language."""
    skipped: frozenset[str] = frozenset()
    """Patterns of the recogniser, by their names, that are not used."""
    patterns: tuple[str, ...] = ()
    """Further patterns; their matches need a word or pass the recogniser's checksum."""


NAME_ENTITIES = ("PERSON", "LOCATION", "ORGANIZATION")
"""Found by a model; an organisation only where it is asked for."""

_TABLE = (
    Entity("EMAIL_ADDRESS"),
    Entity("PHONE_NUMBER"),
    Entity("CREDIT_CARD", "CreditCardRecognizer"),
    Entity("IBAN_CODE", "IbanRecognizer", words=("iban",)),
    Entity("IP_ADDRESS", words=("ip", "ips", "ipv4", "ipv6", "host", "server", "client", "addr")),
    Entity("CRYPTO", "CryptoRecognizer", words=("bitcoin", "btc", "wallet")),
    Entity("URL", is_default=False),
    Entity("DATE_TIME", "DateRecognizer", is_default=False, words=("date", "birth", "born", "dob")),
    Entity(
        "MEDICAL_LICENSE",
        "MedicalLicenseRecognizer",
        needs_word=True,
        words=(r"medical", "dea", r"prescriber"),
    ),
    Entity("US_SSN", "UsSsnRecognizer", words=(r"social\W{0,2}security", "ssn")),
    Entity("US_ITIN", "UsItinRecognizer", words=("itin", r"tax\W{0,2}payer", r"tax\W{0,2}id")),
    Entity("US_PASSPORT", "UsPassportRecognizer"),
    Entity(
        "US_DRIVER_LICENSE",
        "UsLicenseRecognizer",
        needs_word=True,
        words=(r"driver\W{0,2}s?\W{0,2}licen[sc]e", r"driving\W{0,2}licen[sc]e", r"cdl"),
    ),
    Entity(
        "US_BANK_NUMBER",
        "UsBankRecognizer",
        is_default=False,
        needs_word=True,
        words=(r"account", "acct", r"bank"),
    ),
    Entity(
        "ABA_ROUTING_NUMBER",
        "AbaRoutingRecognizer",
        is_default=False,
        needs_word=True,
        words=("aba", "routing"),
    ),
    Entity(
        "UK_NHS",
        "NhsRecognizer",
        needs_word=True,
        words=("nhs", r"national\W{0,2}health", "health"),
    ),
    Entity("UK_NINO", "UkNinoRecognizer", words=(r"national\W{0,2}insurance", "nino", "ni")),
    Entity("ES_NIF", "EsNifRecognizer", words=("nif", "dni", r"documento\W{0,2}nacional")),
    Entity("ES_NIE", "EsNieRecognizer", words=("nie", r"extranjero")),
    Entity("IT_FISCAL_CODE", "ItFiscalCodeRecognizer", words=(r"codice\W{0,2}fiscale",)),
    Entity(
        "IT_DRIVER_LICENSE",
        "ItDriverLicenseRecognizer",
        needs_word=True,
        words=("patente", r"licenza\W{0,2}di\W{0,2}guida"),
    ),
    Entity(
        "IT_IDENTITY_CARD",
        "ItIdentityCardRecognizer",
        needs_word=True,
        words=(r"carta\W{0,2}d\W{0,2}identit", "cie"),
    ),
    Entity("IT_PASSPORT", "ItPassportRecognizer", needs_word=True, words=("passaporto",)),
    Entity(
        "IT_VAT_CODE",
        "ItVatCodeRecognizer",
        is_default=False,
        needs_word=True,
        words=("piva", r"partita\W{0,2}iva"),
    ),
    Entity("PL_PESEL", "PlPeselRecognizer", needs_word=True, words=("pesel",)),
    Entity(
        "FI_PERSONAL_IDENTITY_CODE",
        "FiPersonalIdentityCodeRecognizer",
        words=("hetu", "henkilötunnus", "personbeteckning", r"identity\W{0,2}code"),
    ),
    Entity("SG_NRIC_FIN", "SgFinRecognizer", needs_word=True, words=("nric", "fin")),
    Entity("SG_UEN", "SgUenRecognizer", is_default=False, needs_word=True, words=("uen", "acra")),
    Entity(
        "AU_ABN", "AuAbnRecognizer", is_default=False, needs_word=True, words=("abn", "business")
    ),
    Entity(
        "AU_ACN", "AuAcnRecognizer", is_default=False, needs_word=True, words=("acn", "company")
    ),
    Entity("AU_TFN", "AuTfnRecognizer", needs_word=True, words=("tfn", r"tax\W{0,2}file")),
    Entity("AU_MEDICARE", "AuMedicareRecognizer", needs_word=True, words=("medicare",)),
    Entity(
        "IN_PAN",
        "InPanRecognizer",
        needs_word=True,
        words=("pan", r"permanent\W{0,2}account"),
        skipped=frozenset({"PAN (Low)"}),
    ),
    Entity(
        "IN_AADHAAR",
        "InAadhaarRecognizer",
        needs_word=True,
        words=("aadhaar", "aadhar", "uidai"),
        patterns=(r"\b[0-9]{4}[ -][0-9]{4}[ -][0-9]{4}\b",),
    ),
    Entity("IN_PASSPORT", "InPassportRecognizer", needs_word=True),
    Entity("IN_VOTER", "InVoterRecognizer", needs_word=True, words=("voter", "epic", "elector")),
    Entity(
        "IN_VEHICLE_REGISTRATION",
        "InVehicleRegistrationRecognizer",
        is_default=False,
        needs_word=True,
        words=("rto", "vehicle", "plate", "registration"),
    ),
)
ENTITIES: Mapping[str, Entity] = {entity.name: entity for entity in _TABLE}
"""Found by patterns, by name."""

_PASSPORTS = ("US_PASSPORT", "IN_PASSPORT")
_LANGUAGE_WORDS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "en": {
        "PHONE_NUMBER": ("phone", "tel", "mobile", "cell", "call", "fax", "whatsapp"),
        "CREDIT_CARD": ("card", "credit", "visa", "mastercard", "amex"),
        "PASSPORT": ("passport",),
    },
    "de": {
        "PHONE_NUMBER": ("telefon", "tel", "mobil", "handy", "rufnummer", "anruf", "fax"),
        "CREDIT_CARD": ("karte", "kreditkarte", "visa", "mastercard"),
        "PASSPORT": ("reisepass", "pass"),
    },
    "es": {
        "PHONE_NUMBER": ("teléfono", "telefono", "tel", "móvil", "movil", "llam", "fax"),
        "CREDIT_CARD": ("tarjeta", "crédito", "credito", "visa", "mastercard"),
        "PASSPORT": ("pasaporte",),
    },
    "fi": {
        "PHONE_NUMBER": ("puhelin", "puh", "matkapuhelin", "gsm", "soita"),
        "CREDIT_CARD": ("kortti", "luottokortti", "visa", "mastercard"),
        "PASSPORT": ("passi",),
    },
    "fr": {
        "PHONE_NUMBER": ("téléphone", "telephone", "tél", "tel", "portable", "appel", "fax"),
        "CREDIT_CARD": ("carte", "crédit", "visa", "mastercard"),
        "PASSPORT": ("passeport",),
    },
    "it": {
        "PHONE_NUMBER": ("telefono", "tel", "cellulare", "chiam", "fax"),
        "CREDIT_CARD": ("carta", "credito", "visa", "mastercard"),
        "PASSPORT": ("passaporto",),
    },
    "nl": {
        "PHONE_NUMBER": ("telefoon", "tel", "mobiel", "gsm", "bel", "fax"),
        "CREDIT_CARD": ("kaart", "creditcard", "visa", "mastercard"),
        "PASSPORT": ("paspoort",),
    },
    "pl": {
        "PHONE_NUMBER": ("telefon", "tel", "komórk", "kom", "zadzwo", "faks"),
        "CREDIT_CARD": ("karta", "karty", "visa", "mastercard"),
        "PASSPORT": ("paszport",),
    },
    "pt": {
        "PHONE_NUMBER": ("telefone", "tel", "celular", "telemóvel", "ligue", "fax"),
        "CREDIT_CARD": ("cartão", "cartao", "crédito", "visa", "mastercard"),
        "PASSPORT": ("passaporte",),
    },
}
REGIONS: Mapping[str, tuple[str, ...]] = {
    "en": ("US", "GB", "AU", "IN"),
    "de": ("DE", "AT", "CH"),
    "es": ("ES", "MX"),
    "fi": ("FI",),
    "fr": ("FR", "BE"),
    "it": ("IT",),
    "nl": ("NL", "BE"),
    "pl": ("PL",),
    "pt": ("PT", "BR"),
}
"""Whose telephone numbers are known without their country code, by language."""


def chosen_entities(asked: Sequence[str]) -> tuple[str, ...]:
    """What to look for: what was asked for, in the order of the table, or the defaults.

    Raises:
        ValueError: a name is not known; lists those that are.
    """
    known = (*ENTITIES, *NAME_ENTITIES)
    if unknown := sorted(set(asked).difference(known)):
        raise ValueError(
            f"guard.input_scanners.anonymize.entities: {unknown[0]!r} is not known; known are "
            f"{', '.join(known)}"
        )
    defaults = {name for name, entity in ENTITIES.items() if entity.is_default}
    wanted = set(asked) or defaults | {"PERSON", "LOCATION"}
    return tuple(name for name in known if name in wanted)


def check_languages(languages: Sequence[str]) -> None:
    """See that there are words of each language.

    Raises:
        ValueError: there are none of one; lists the languages.
    """
    if unknown := sorted(set(languages).difference(_LANGUAGE_WORDS)):
        raise ValueError(
            f"guard.input_scanners.anonymize.languages: {unknown[0]!r} is not known; known are "
            f"{', '.join(_LANGUAGE_WORDS)}"
        )


def words_of(entity: Entity, languages: Sequence[str]) -> tuple[str, ...]:
    """Regular expressions of the words that tell of an entity, its own and those of languages."""
    key = "PASSPORT" if entity.name in _PASSPORTS else entity.name
    found = [word for language in languages for word in _LANGUAGE_WORDS[language].get(key, ())]
    return tuple(dict.fromkeys((*entity.words, *found)))
