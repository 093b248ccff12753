// Types du client JavaScript de l'agent Vaguemestre.
// GÉNÉRÉ depuis openapi.json 1.0.0 par « python docs/generate.py » : ne pas modifier à la main.

export const API_VERSION: string;

/** Racine des erreurs de ce client. */
export class VaguemestreError extends Error {}
/** Personne n'écoute : rien n'a été envoyé. */
export class AgentNotRunning extends VaguemestreError {}
/** Pas de réponse à temps : une écriture a pu être faite. */
export class AgentSilent extends VaguemestreError {}
/** La réponse n'est pas celle du contrat. */
export class AnswerUnreadable extends VaguemestreError {
  readonly where: string;
}
/** L'agent a refusé : un problème RFC 9457. */
export class ApiProblem extends VaguemestreError {
  readonly status: number;
  /** Stable, à comparer. */
  readonly code: string;
  /** Une phrase, à montrer. */
  readonly title: string;
  readonly detail: string;
  /** La chose à faire, à montrer. */
  readonly action: string;
  readonly link: string;
  readonly recovery: Problem["recovery"];
  readonly supportId: string;
  readonly params: Record<string, string | number | boolean | null>;
  readonly findings: Finding[];
  readonly retryAfterS: number | undefined;
}

export interface Credentials {
  clientId: string;
  secret: string;
}

export interface FilePart {
  content: Uint8Array | string;
  mediaType: string;
}

export interface CallOptions {
  /** Qui agit, pour cette écriture ; à défaut, celui du client. */
  actor?: Actor;
  /** Clé de la demande, où la route l'accepte. */
  idempotencyKey?: string;
  /** Essais en tout, pour ce qui se répète sans danger (lectures, dépôts). 1 par défaut. */
  attempts?: number;
  timeoutMs?: number;
  signal?: AbortSignal;
}

export interface StreamOptions {
  signal?: AbortSignal;
  /** Silence après lequel l'agent est tenu pour parti, millisecondes. */
  idleMs?: number;
}

export type StreamItem =
  | { event: "snapshot"; content: Snapshot; resumeAfter: number | null }
  | { event: "change"; content: Change; resumeAfter: number | null }
  | { event: "resync"; content: Resync; resumeAfter: number | null }
  | { event: "readers"; content: Readers; resumeAfter: number | null }
  | { event: "card"; content: Card; resumeAfter: number | null }
  | { event: "scan"; content: ScanEvent; resumeAfter: number | null };

/** Adresse de l'agent de cet utilisateur. */
export function defaultAddress(environment?: Record<string, string | undefined>): string;
/** Clé d'idempotence neuve. */
export function newIdempotencyKey(): string;

export class VaguemestreClient {
  constructor(settings?: {
    address?: string;
    credentials?: Credentials | null;
    actor?: Actor | null;
    timeoutMs?: number;
    /** Temps laissé à un agent qui démarre, millisecondes. */
    startGraceMs?: number;
  });
  readonly address: string;
  actor: Actor | null;
  /** Suit les évènements sans fin, et reprend où il en était. */
  follow(after?: number | null, options?: StreamOptions & { patienceMs?: number }): AsyncGenerator<StreamItem, void, undefined>;
  /** État de l'agent (sans jumelage : sans les compteurs). */
  getHealth(options?: CallOptions): Promise<Health>;
  /** Ce document. */
  getOpenApi(options?: CallOptions): Promise<any>;
  /** Jumeler un logiciel avec un code. */
  pair(request: PairingRequest, options?: CallOptions): Promise<PairedClient>;
  /** Ouvrir un jumelage. */
  openPairing(request: OpenPairingRequest, options?: CallOptions): Promise<PairingCode>;
  /** Logiciels jumelés. */
  listClients(options?: CallOptions): Promise<ClientList>;
  /** Révoquer un logiciel. */
  revokeClient(clientId: string, options?: CallOptions): Promise<void>;
  /** Déposer des documents d'épisodes antérieurs (INS qualifiée, sinon aucun). */
  putDocuments(form: { documents: BatchRequest; bodies: Array<FilePart>; hold?: boolean; send_now?: boolean }, options?: CallOptions): Promise<BatchAccepted>;
  /** Où en est un document. */
  getDocument(clientRef: string, options?: CallOptions): Promise<Document>;
  /** Déposer la version voulue d'un document. */
  putDocument(clientRef: string, form: { metadata: object | string; body: FilePart; hold?: boolean; send_now?: boolean }, options?: CallOptions): Promise<DocumentAccepted>;
  /** Supprimer un document : arrêter ce qui n'est pas parti, faire supprimer ce qui est au DMP. */
  deleteDocument(clientRef: string, query: { motive: "feeding_error" | "patient_request" | (string & {}) }, options?: CallOptions): Promise<ChangeAccepted>;
  /** Dire qui voit un document, avant son envoi ou après. */
  setVisibility(clientRef: string, request: VisibilityRequest, options?: CallOptions): Promise<ChangeAccepted>;
  /** Documents invisibles au patient, à lui annoncer. */
  listAnnouncements(options?: CallOptions): Promise<Announcements>;
  /** Ordres visibles, le plus récent d'abord. */
  listOrders(query?: { state?: Array<"preparing" | "preparation_failed" | "deferred" | "ready" | "offered" | "entrusted" | "claimed" | "sending" | "in_doubt" | "sent" | "rejected" | "cancelled" | "superseded" | "abandoned" | "unreadable" | (string & {})>; client_ref?: string; professional?: string; titles?: boolean; limit?: number; after?: string }, options?: CallOptions): Promise<OrderPage>;
  /** Un ordre. */
  getOrder(orderId: string, options?: CallOptions): Promise<Order>;
  /** Pourquoi il n'est pas parti. */
  explainOrder(orderId: string, options?: CallOptions): Promise<Why>;
  /** Bloquer. */
  holdOrder(orderId: string, request?: ActorRequest, options?: CallOptions): Promise<Order>;
  /** Lever le blocage d'une personne. */
  releaseOrder(orderId: string, request?: ActorRequest, options?: CallOptions): Promise<Order>;
  /** Laisser partir ce que le mode observation avait retenu. */
  releaseOrderFromShadow(orderId: string, request?: ActorRequest, options?: CallOptions): Promise<Order>;
  /** Annuler, honnêtement. */
  cancelOrder(orderId: string, request?: ActorRequest, options?: CallOptions): Promise<CancelAnswer>;
  /** Laisser partir sans différé. */
  sendOrderNow(orderId: string, request?: ActorRequest, options?: CallOptions): Promise<Order>;
  /** Trancher : le verdict d'une personne. */
  resolveOrder(orderId: string, request: ResolveRequest, options?: CallOptions): Promise<Order>;
  /** Rapprocher des références. */
  reconcile(request: ReconcileRequest, options?: CallOptions): Promise<Reconciliation>;
  /** Dossier ouvert ou fermé chez le logiciel. */
  setPatientContext(request: PatientContextRequest, options?: CallOptions): Promise<PatientContext>;
  /** Ce que le patient a dit, et ce qui est permis. */
  getConsents(patientRef: string, query?: { episode?: string; care_team?: string }, options?: CallOptions): Promise<Consents>;
  /** Enregistrer consentements et oppositions : ce qui attend est bloqué ou libéré aussitôt. */
  recordConsents(patientRef: string, request: ConsentRequest, options?: CallOptions): Promise<FactsRecorded>;
  /** Dire qu'une identité a changé : ce qui attend est bloqué, des suppressions sont proposées. */
  recordIdentityEvent(patientRef: string, request: IdentityEventRequest, options?: CallOptions): Promise<FactsRecorded>;
  /** Faire l'image du Datamatrix INS d'une identité qualifiée, avec « INS à scanner ». */
  makeInsCode(request: InsCodeRequest, options?: CallOptions): Promise<InsCode>;
  /** Délégations d'un professionnel. */
  getDelegations(query: { professional: string }, options?: CallOptions): Promise<DelegationList>;
  /** Accorder ou retirer une délégation à un poste. */
  delegate(request: DelegationRequest, options?: CallOptions): Promise<FactsRecorded>;
  /** Flux : état initial puis changements numérotés (SSE). */
  streamEvents(query?: { after?: number }, options?: StreamOptions): AsyncGenerator<StreamItem, void, undefined>;
  /** Qui peut envoyer d'ici. */
  getSession(options?: CallOptions): Promise<Session>;
  /** Adopter la session du logiciel. */
  adoptSession(request: AdoptSessionRequest, options?: CallOptions): Promise<Authority>;
  /** Ouvrir une session du Proxy e-santé (une personne l'a demandé). */
  openSession(request: OpenSessionRequest, options?: CallOptions): Promise<SessionOffer>;
  /** Fermer une session. */
  closeSession(query: { national_id: string }, options?: CallOptions): Promise<void>;
  /** Lecteurs de ce poste, et ce qui empêche de les voir. */
  listReaders(options?: CallOptions): Promise<Readers>;
  /** Cartes présentes dans les lecteurs (titulaire d'une carte de professionnel : droit control ou admin). */
  listCards(options?: CallOptions): Promise<CardList>;
  /** Demander sur le poste le code d'une carte de professionnel ; l'évènement card dit comment cela finit. */
  logInCard(cardId: string, options?: CallOptions): Promise<CardLogin>;
  /** Fermer la session d'une carte de professionnel. */
  logOutCard(cardId: string, options?: CallOptions): Promise<void>;
  /** Lire les bénéficiaires d'une carte Vitale présente. */
  readBeneficiaries(cardId: string, options?: CallOptions): Promise<Beneficiaries>;
  /** Confirmer un bénéficiaire choisi : la carte présente est relue et doit être la même. */
  confirmBeneficiary(cardId: string, request: BeneficiaryChoice, options?: CallOptions): Promise<Beneficiary>;
  /** Lire les codes d'une image, d'un PDF ou d'un texte (contenu d'un patient : droit identity). */
  scan(form: { metadata: ScanRequest; body: FilePart }, options?: CallOptions): Promise<Scan>;
  /** Effacer ce qui est gardé d'un patient : contenus, titres, lien avec la personne. */
  erasePatient(request: ErasureRequest, options?: CallOptions): Promise<ErasureReport>;
  /** Sauvegardes de ce poste dans le dossier réglé. */
  listBackups(options?: CallOptions): Promise<BackupList>;
  /** Demander une sauvegarde maintenant ; la santé et le registre disent quand elle est faite. */
  makeBackup(request?: ActorRequest, options?: CallOptions): Promise<void>;
  /** Lignes du registre (les siennes ; toutes pour `admin`). */
  readLedger(query?: { after?: number; limit?: number }, options?: CallOptions): Promise<LedgerPage>;
  /** Indicateurs d'alimentation du DMP (les siens ; tous pour `admin`). */
  getIndicators(query?: { from?: string; to?: string; group?: Array<"type_code" | "professional" | "structure" | (string & {})> }, options?: CallOptions): Promise<Indicators>;
  /** Recalculer la chaîne du registre. */
  verifyLedger(options?: CallOptions): Promise<LedgerVerification>;
}

/** Qui demande : inscrit au registre et dans les traces. */
export interface Actor {
  /** Identifiant opaque de l'utilisateur chez le logiciel, jamais un nom. */
  user: string;
  /** Rôle au cabinet : medecin, secretaire… */
  role: string;
  /** RPPS du professionnel qui agit. */
  rpps?: string | null;
}

/** Ce que le logiciel déclare de lui-même aux services nationaux. */
export interface Product {
  /** LPS_Nom. */
  lps_name: string;
  /** LPS_Version. */
  lps_version: string;
  /** LPS_ID, numéro de l'installation. */
  lps_id: string;
  /** LPS_ID_HOMOLOGATION_DMP. */
  homologation_id: string;
  /** clientId connu du Proxy e-santé. */
  proxy_client_id: string;
  /** Branche d'OID des documents de ce logiciel. */
  oid_root: string;
  /** Numéro NIL de l'éditeur, ou vide. */
  nil?: string;
}

/** Un ordre d'envoi tel qu'il est maintenant. */
export interface Order {
  /** Identifiant de l'ordre. */
  order_id: string;
  /** Identifiant du document. */
  document_id: string;
  /** Logiciel qui l'a confié. */
  client_id: string;
  /** Référence chez ce logiciel. */
  client_ref: string;
  /** Ce qui est demandé. */
  kind: "dmp.submit" | "dmp.replace" | "dmp.delete" | "dmp.visibility" | "mss.send" | (string & {});
  /** État. */
  state: "preparing" | "preparation_failed" | "deferred" | "ready" | "offered" | "entrusted" | "claimed" | "sending" | "in_doubt" | "sent" | "rejected" | "cancelled" | "superseded" | "abandoned" | "unreadable" | (string & {});
  /** Version du document, à partir de 1. */
  version: number;
  /** setId, OID. */
  set_id: string;
  /** uniqueId de cette version, OID. */
  unique_id: string;
  /** Code du type de document. */
  type_code: string;
  /** PS_IdNat sous lequel il part. */
  professional: string;
  /** Instant d'acceptation durable. */
  accepted_at: string;
  /** Depuis quand dans cet état. */
  state_at: string;
  /** Départ au plus tôt. */
  not_before: string | null;
  /** Jusque-là une personne peut l'arrêter. */
  undo_until: string | null;
  /** Essais échoués. */
  attempts: number;
  /** Prochain essai. */
  next_attempt_at: string | null;
  /** Ce qu'il attend. */
  waiting: "auth" | "network" | "service" | "station" | "predecessor" | "no_dmp" | (string & {}) | null;
  /** Blocages, chacun levé par sa cause. */
  holds: Array<"person" | "opposition" | "consent" | "identity" | "integrity" | "trouble" | "delegation" | "shadow" | (string & {})>;
  /** Annulation demandée, issue inconnue. */
  cancel_requested: boolean;
  /** Ordre qu'il remplace. */
  predecessor: string | null;
  /** Ordres dont il dépend. */
  depends_on: Array<string>;
  /** Code du dernier refus (catalogue). */
  failure_code: string | null;
  /** Code du service, pour le support. */
  service_code: string | null;
  /** Début du doute. */
  doubt_since: string | null;
  actor: Actor;
  /** Faits non personnels de la remise. */
  receipt: Record<string, string>;
  /** Nombre de changements. */
  revision: number;
  /** Titre affichable, ou null (clé verrouillée ou non demandé). */
  title?: string | null;
}

/** Réponse à un dépôt : durable au moment où elle est lue. */
export interface DocumentAccepted {
  order: Order;
  /** Même demande déjà acceptée : réponse actuelle. */
  replayed: boolean;
  /** Ordre que celui-ci remplace. */
  superseded?: string | null;
}

/** Un document et ses ordres, le plus récent d'abord. */
export interface Document {
  /** Référence chez le logiciel. */
  client_ref: string;
  /** Le document entier, en un mot : le même qu'au rapprochement. */
  status: "unknown" | "unknown_since_restore" | "waiting" | "sent" | "deleted" | "doubtful" | "stopped" | "refused" | "body_needed" | (string & {});
  /** Ce que l'on sait du document au DMP : rien n'y est allé, il y est, il n'y est plus, ou une issue manque. */
  presence: "none" | "there" | "deleted" | "unknown" | (string & {});
  /** La dernière version connue au DMP. Si une issue manque (`unknown`), elle peut avoir changé. */
  there: DocumentThere | null;
  /** Ce qui est demandé et n'est pas fait, le plus ancien d'abord ; la dernière demande, si elle a été arrêtée. */
  under_way: Array<UnderWay>;
  orders: Array<Order>;
}

/** Une version au DMP, d'après les issues que l'agent connaît. */
export interface DocumentThere {
  /** L'ordre qui l'y a mise. */
  order_id: string;
  /** uniqueId, OID. */
  unique_id: string;
  /** Version du document, à partir de 1. */
  version: number;
  /** Codes de visibilité laissés par nos ordres ; nul tant qu'un changement est en doute. Le DMP rend lui-même visible après trois mois. */
  visibility: Array<string> | null;
  /** Depuis quand on l'y sait. */
  since: string;
}

/** Une demande qui n'est pas faite. */
export interface UnderWay {
  /** Envoi, correction, suppression, changement de visibilité. */
  wish: "feeding" | "correction" | "deletion" | "visibility" | (string & {});
  /** Attend, issue inconnue, refusée, arrêtée, contenu à redonner. */
  progress: "waiting" | "doubtful" | "refused" | "stopped" | "body_needed" | (string & {});
  /** Son ordre. */
  order_id: string;
}

/** Un document invisible au patient, au DMP, à annoncer. */
export interface Announcement {
  /** Logiciel qui l'a confié. */
  client_id: string;
  /** Référence chez ce logiciel. */
  client_ref: string;
  /** L'ordre qui a mis cette version au DMP. */
  order_id: string;
  /** uniqueId de cette version, OID. */
  unique_id: string;
  /** Version du document. */
  version: number;
  /** Code du type de document. */
  type_code: string;
  /** PS_IdNat sous lequel il est parti. */
  professional: string;
  /** Depuis quand il est au DMP. */
  since: string;
  /** Jours depuis, au calendrier du poste. */
  age_days: number;
  /** Jour où le patient est prévenu qu'un tel document existe (un mois). */
  announce_due: string;
  /** Ce jour est passé ou venu. */
  is_announce_due: boolean;
  /** Jour où le DMP le rend visible de lui-même (trois mois). */
  visible_due: string;
  /** Ce jour est passé ou venu. */
  is_visible_due: boolean;
  /** Ce qui est demandé pour lui et n'est pas fait. */
  under_way: Array<UnderWay>;
}

/** Les documents à annoncer, le plus ancien d'abord. */
export interface Announcements {
  documents: Array<Announcement>;
  /** Leur nombre. */
  count: number;
  /** Combien dont le mois est passé. */
  announce_due_count: number;
  /** La limite est atteinte. */
  has_more: boolean;
}

/** Une page d'ordres, le plus récent d'abord. */
export interface OrderPage {
  orders: Array<Order>;
  /** À donner en `after` pour la suite, ou null. */
  next?: string | null;
}

/** Réponse d'une règle. */
export interface GuardAnswer {
  /** Règle. */
  guard: "opposition" | "message_consent" | "ins_qualifiee" | "identity_sure" | "visibility" | "invisible_to_recipient" | "product_reference" | "delegation" | (string & {});
  /** Elle ne s'oppose pas. */
  passed: boolean;
  /** Code de l'objection ou OK. */
  code: string;
  /** Phrase pour la personne. */
  title: string;
  /** Ce qu'il faut faire. */
  action: string;
}

/** Pourquoi un ordre n'est pas parti, et la seule chose qui le laisserait partir. */
export interface Why {
  order: Order;
  guards: Array<GuardAnswer>;
  /** Code de ce qui retient d'abord, ou NOTHING. */
  blocking: string;
  /** Phrase. */
  blocking_title: string;
  /** Code. */
  would_let_it_leave: string;
  /** La seule chose à faire. */
  action: string;
  /** Prochain essai, quand l'ordre attend un service. */
  next_try_at?: string | null;
}

/** Réponse honnête à une annulation. */
export interface CancelAnswer {
  /** Issue. */
  answer: "cancelled" | "too_late" | "asked" | (string & {});
  order: Order;
}

/** La visibilité voulue, en entier : une liste vide rend visible à tous. */
export interface VisibilityRequest {
  /** Codes voulus ; INVISIBLE_PATIENT et MASQUE_PS ne vont pas ensemble. */
  visibility: Array<"INVISIBLE_PATIENT" | "INVISIBLE_REPRESENTANTS_LEGAUX" | "MASQUE_PS" | (string & {})>;
  actor?: Actor;
}

/** Ce que devient une suppression ou un changement de visibilité. */
export interface ChangeAccepted {
  /** Un ordre le fera ; il attend l'issue de ce qui est parti ; rien n'était parti et rien ne partira ; ce qui n'était pas parti a été changé ; c'est déjà fait. */
  answer: "accepted" | "waits" | "stopped" | "corrected" | "done" | (string & {});
  order: Order;
  /** Cette demande n'a rien changé : réponse actuelle. */
  replayed: boolean;
  /** Ordres que cette demande a arrêtés ou remplacés. */
  stopped: Array<string>;
}

/** Corps d'une écriture sans autre donnée. */
export interface ActorRequest {
  actor?: Actor;
}

/** Verdict d'une personne, et son motif ; aucun texte libre : rien de personnel n'entre au registre. */
export interface ResolveRequest {
  /** Parti, pas parti (il repart), ou abandonné. */
  verdict: "sent" | "not_sent" | "abandon" | (string & {});
  /** Motif : vu au service, pas vu au service, envoyé autrement, plus utile. */
  reason: "seen_there" | "not_seen_there" | "sent_otherwise" | "no_longer_needed" | (string & {});
  actor?: Actor;
}

/** Références à rapprocher. */
export interface ReconcileRequest {
  client_refs: Array<string>;
}

/** État de chaque référence. */
export interface Reconciliation {
  documents: Record<string, "unknown" | "unknown_since_restore" | "waiting" | "sent" | "deleted" | "doubtful" | "stopped" | "refused" | "body_needed" | (string & {})>;
}

/** Un dossier vient d'être ouvert ou fermé ; rien ne dit lequel. */
export interface PatientContextRequest {
  /** Un dossier est ouvert. */
  open: boolean;
  actor?: Actor;
}

/** Effet. */
export interface PatientContext {
  /** Ordres avancés. */
  brought_forward: number;
}

/** Un point de contrôle. */
export interface HealthItem {
  /** Code du catalogue. */
  code: string;
  /** Rien à faire. */
  ok: boolean;
  /** Phrase. */
  title: string;
  /** Ce qu'il faut faire. */
  action: string;
  params: Record<string, any | null>;
}

/** État de l'agent, sans rien sur les patients. */
export interface Health {
  /** Version. */
  version: string;
  /** Prêt à accepter. */
  ready: boolean;
  items: Array<HealthItem>;
  /** Ordres par état (client jumelé seulement). */
  counts?: Record<string, number>;
}

/** Quelqu'un peut envoyer, d'ici, maintenant. */
export interface Authority {
  /** PS_IdNat. */
  professional: string;
  /** Moyen. */
  means: "psc" | "cps" | "cpe" | "structure" | (string & {});
  /** dmp ou mss. */
  service: string;
  /** Poste. */
  station: string;
  /** clientId du logiciel dont les ordres partent dans cette session, et d'aucun autre. */
  proxy_client_id: string;
  /** Fin au plus tard. */
  until?: string | null;
}

/** Qui peut envoyer d'ici. */
export interface Session {
  authorities: Array<Authority>;
}

/** Demande d'ouverture par une personne. */
export interface OpenSessionRequest {
  /** PS_IdNat. */
  national_id: string;
  /** Carte ou e-CPS. */
  channel: "CARD" | "MOBILE" | (string & {});
  /** Navigateur ou CIBA. */
  mode: "browser" | "ciba" | (string & {});
  actor?: Actor;
}

/** Ce que la personne doit faire. */
export interface SessionOffer {
  /** Identifiant de la demande ; un évènement dit sa fin. */
  session_request: string;
  /** Deux chiffres à comparer. */
  binding_code?: string | null;
  /** Page à ouvrir. */
  url?: string | null;
  expires_in_s: number;
}

/** Session du Proxy e-santé ouverte par le logiciel lui-même. */
export interface AdoptSessionRequest {
  /** PS_IdNat. */
  national_id: string;
  /** proxy_session_id. */
  cookie: string;
  /** session_state rendu par le proxy. */
  session_state: string;
  /** Durée restante connue, secondes. */
  until_s?: number | null;
  actor?: Actor;
}

/** Une ligne du registre : chaînée, sans donnée médicale ni personnelle. */
export interface LedgerLine {
  /** Numéro, à partir de 1. */
  seq: number;
  /** Instant. */
  at: string;
  /** Évènement. */
  kind: string;
  /** Ordre. */
  order_id?: string | null;
  /** Logiciel. */
  client_id?: string | null;
  /** Référence. */
  client_ref?: string | null;
  actor: LedgerActor;
  /** État avant. */
  before?: string | null;
  /** État après. */
  after?: string | null;
  detail: Record<string, string>;
  /** Empreinte précédente. */
  previous: string;
  /** Empreinte. */
  digest: string;
}

/** Acteur tel qu'inscrit ; l'agent lui-même n'a ni rôle imposé ni RPPS. */
export interface LedgerActor {
  /** Utilisateur. */
  user: string;
  /** Rôle. */
  role: string;
  /** RPPS. */
  rpps?: string | null;
}

/** Lignes visibles, de la plus ancienne à la plus récente. */
export interface LedgerPage {
  lines: Array<LedgerLine>;
  /** À donner en `after`, ou null quand tout est lu. */
  next?: number | null;
}

/** Chaîne recalculée et intacte. */
export interface LedgerVerification {
  /** Nombre de lignes. */
  lines: number;
  /** Empreinte de tête, hexadécimale. */
  head: string;
}

/** Comptes d'une opération. */
export interface IndicatorRow {
  /** submit, replace, delete, visibility ; unknown : ligne d'avant ces indicateurs. */
  operation: string;
  /** Type du document ; null : pas demandé. */
  type_code: string | null;
  /** PS_IdNat ; null : pas demandé. */
  professional: string | null;
  /** Struct_IdNat (1 puis le FINESS géographique), vide s'il n'est pas connu ; null : pas demandé. */
  structure: string | null;
  /** Réussites. */
  successes: number;
  /** Réussites, INS qualifiée. */
  successes_qualified: number;
  /** Réussites, INS non qualifiée. */
  successes_not_qualified: number;
  /** Refus du service. */
  failures: number;
  /** Refus, INS qualifiée. */
  failures_qualified: number;
  /** Refus, INS non qualifiée. */
  failures_not_qualified: number;
}

/** Une période, en heure locale, et ses comptes. */
export interface IndicatorPeriod {
  /** current_month, current_year, previous_year ou asked. */
  name: string;
  /** Début, compris. */
  start: string;
  /** Fin, exclue. */
  end: string;
  /** Comptes. */
  rows: Array<IndicatorRow>;
}

/** Ce qui a alimenté le DMP. */
export interface Indicators {
  /** Périodes. */
  periods: Array<IndicatorPeriod>;
}

/** Effacement d'un patient. Un document est lié à l'identifiant avec lequel il a été donné : donnez les deux si le patient a eu les deux. */
export interface ErasureRequest {
  /** Motif : demande du patient, dossier transféré, saisi par erreur, plus utile. */
  reason: "patient_request" | "record_transferred" | "entered_by_mistake" | "no_longer_needed" | (string & {});
  /** Ce qui attend encore : tout refuser, ou l'annuler. Ce qui est en chemin est prié de s'arrêter, et son document reste. */
  waiting: "refuse" | "cancel" | (string & {});
  ins?: InsIdentifier;
  local_id?: LocalIdentifier;
  actor?: Actor;
}

/** Ce qu'un effacement a fait. Les lignes du registre restent : elles ne nomment personne. */
export interface ErasureReport {
  /** Documents effacés. */
  documents: number;
  /** Contenus scellés détruits. */
  bodies: number;
  /** Envois annulés pour cela. */
  cancelled: number;
  /** Documents laissés : un envoi ne peut pas être arrêté maintenant. */
  on_their_way: number;
  /** Le journal d'écriture a été vidé aussi ; sinon, le prochain passage le fait. */
  log_emptied: boolean;
}

/** Une sauvegarde chiffrée, telle qu'elle se décrit ; rien sur les patients. */
export interface Backup {
  /** Nom du fichier. */
  name: string;
  /** Instant de l'image. */
  made_at: string;
  /** Taille du fichier, octets. */
  size_bytes: number;
  /** Ordres. */
  orders: number;
  /** Ordres non terminés. */
  open_orders: number;
  /** Contenus scellés. */
  bodies: number;
  /** Lignes du registre. */
  ledger_lines: number;
  /** Empreinte de tête du registre, hexadécimale. */
  ledger_head: string;
  /** La clé de secours du cabinet l'ouvre aussi. */
  opens_with_recovery_key: boolean;
  /** Ce qui était en défaut dans la file quand elle a été faite ; vide : rien. */
  faults: Array<string>;
}

/** Sauvegardes connues. */
export interface BackupList {
  /** De la plus récente à la plus ancienne. */
  backups: Array<Backup>;
}

/** Un changement numéroté. */
export interface Change {
  line: LedgerLine;
  /** L'ordre tel qu'il est maintenant, s'il est visible. */
  order?: Order | null;
}

/** Ordres actifs de ce logiciel ; `last` vrai sur le dernier morceau. */
export interface Snapshot {
  orders: Array<Order>;
  /** Fin de l'état initial. */
  last: boolean;
  /** Numéro du dernier changement compris. */
  at: number;
}

/** Ce qui précède est perdu pour ce flux : un état complet suit. */
export interface Resync {
  /** Pourquoi. */
  reason: "gap" | "ahead" | (string & {});
}

/** Droits offerts au prochain jumelage. */
export interface OpenPairingRequest {
  scopes: Array<"read" | "enqueue" | "control" | "identity" | "admin" | (string & {})>;
  actor?: Actor;
}

/** Code à usage unique. */
export interface PairingCode {
  /** À taper chez le logiciel. */
  code: string;
  expires_in_s: number;
}

/** Jumelage par code. */
export interface PairingRequest {
  /** Code montré par l'agent. */
  code: string;
  /** Nom du logiciel, montré à la personne. */
  name: string;
  /** Profil produit, nécessaire pour envoyer. */
  product?: Product | null;
}

/** Un logiciel jumelé. */
export interface Client {
  /** Identifiant. */
  client_id: string;
  /** Nom. */
  name: string;
  /** Utilisateur du système autorisé. */
  os_identity?: string | null;
  scopes: Array<"read" | "enqueue" | "control" | "identity" | "admin" | (string & {})>;
  product?: Product | null;
  /** Jumelage. */
  created_at: string;
  /** Révocation. */
  revoked_at?: string | null;
}

/** Logiciel qui vient d'être jumelé ; le secret n'est montré qu'ici. */
export interface PairedClient {
  client: Client;
  /** Secret. */
  secret: string;
}

/** Tous les logiciels jumelés. */
export interface ClientList {
  clients: Array<Client>;
}

/** Un défaut et son endroit. */
export interface Finding {
  /** Pointeur JSON dans la demande. */
  pointer: string;
  /** Code. */
  code: string;
  /** Phrase. */
  title: string;
}

/** Problème (RFC 9457). */
export interface Problem {
  /** URI stable. */
  type: string;
  /** Statut HTTP. */
  status: number;
  /** Code stable du catalogue. */
  code: string;
  /** Une phrase. */
  title: string;
  /** Explication. */
  detail: string;
  /** Ce qui aide. */
  recovery: "now" | "backoff" | "user_action" | "never" | "in_doubt" | (string & {});
  /** Ce que la personne peut faire. */
  action: string;
  /** Page d'aide. */
  link: string;
  /** À donner au support. */
  support_id: string;
  params: Record<string, any | null>;
  errors?: Array<Finding>;
}

/** Matricule INS et OID de son autorité. */
export interface InsIdentifier {
  /** 15 caractères, clé comprise. */
  matricule: string;
  /** OID de l'autorité d'affectation. */
  oid: string;
}

/** Numéro du patient dans le cabinet (IPP). */
export interface LocalIdentifier {
  /** Valeur. */
  value: string;
  /** OID du domaine. */
  oid: string;
}

/** Identifiants d'un patient : ils ne sont gardés que sous pseudonyme, et désignent la même personne. */
export interface PatientIdentifiers {
  ins?: InsIdentifier;
  local_id?: LocalIdentifier;
}

/** Souhait du patient, sans motif. */
export interface NewWish {
  /** Alimentation du DMP, consultation du DMP, messages au patient, messages aux professionnels. */
  about: "feeding" | "consultation" | "mss_patient" | "mss_professionals" | (string & {});
  /** Accordé ; false : refusé (opposition pour l'alimentation). */
  granted: boolean;
  /** Épisode de soins, référence opaque du logiciel ; absent : tous. */
  episode?: string;
  /** Équipe de soins, Struct_IdNat ; absent : toutes. */
  care_team?: string;
}

/** Souhaits d'un patient. Aucun motif n'est demandé : un champ de plus est refusé. */
export interface ConsentRequest {
  /** Souhaits. */
  wishes: Array<NewWish>;
  identifiers?: PatientIdentifiers;
  actor?: Actor;
}

/** Souhait enregistré. */
export interface Wish {
  /** Ce dont il s'agit. */
  about: "feeding" | "consultation" | "mss_patient" | "mss_professionals" | (string & {});
  /** Accordé. */
  granted: boolean;
  /** Quand il a été dit. */
  at: string;
  actor: Actor;
  /** Version des faits du poste. */
  version: number;
  /** Épisode de soins, nul : tous. */
  episode?: string | null;
  /** Équipe de soins, nul : toutes. */
  care_team?: string | null;
}

/** Ce qu'un patient a dit, et ce qui est permis maintenant. */
export interface Consents {
  /** Référence opaque du patient chez le logiciel. */
  patient_ref: string;
  /** Alimenter le DMP est permis. */
  feeding: boolean;
  /** Consulter le DMP est permis. */
  consultation: boolean;
  /** Un message au patient est permis. */
  mss_patient: boolean;
  /** Un message aux professionnels est permis. */
  mss_professionals: boolean;
  /** Dernier souhait de chaque sorte, épisode et équipe. */
  wishes: Array<Wish>;
}

/** Document qui est au DMP, ou peut y être, sous une identité qui a changé : sa suppression est proposée, jamais faite. */
export interface ProposedDeletion {
  /** Ordre. */
  order_id: string;
  /** Référence du document. */
  client_ref: string;
  /** uniqueId. */
  unique_id: string;
  /** État de l'ordre. */
  state: string;
}

/** Effet d'un fait sur les ordres visibles du logiciel, dans la même transaction. */
export interface FactsRecorded {
  /** Version des faits du poste. */
  version: number;
  /** Ordres bloqués. */
  held: Array<string>;
  /** Ordres libérés. */
  freed: Array<string>;
  /** Suppressions proposées. */
  deletions: Array<ProposedDeletion>;
}

/** Changement d'une identité dans le logiciel. */
export interface IdentityEventRequest {
  /** Trait strict changé, matricule changé, fusion de deux dossiers, statut changé. */
  event: "trait_changed" | "matricule_changed" | "merged" | "status_changed" | (string & {});
  identifiers?: PatientIdentifiers;
  former?: PatientIdentifiers;
  /** Statut de l'identité désormais. */
  identity_status?: "provisoire" | "valid\u00e9e" | "r\u00e9cup\u00e9r\u00e9e" | "qualifi\u00e9e" | (string & {});
  actor?: Actor;
}

/** Délégation d'un professionnel, ou son retrait. */
export interface DelegationRequest {
  /** PS_IdNat. */
  professional: string;
  /** Poste. */
  station: string;
  /** Accordée ; false : retirée. */
  granted: boolean;
  /** Type de document (LOINC) ; absent : tous. */
  type_code?: string;
  actor?: Actor;
}

/** Dernier mot d'un professionnel sur un poste et un type. */
export interface Delegation {
  /** PS_IdNat. */
  professional: string;
  /** Poste. */
  station: string;
  /** Accordée. */
  granted: boolean;
  /** Quand. */
  at: string;
  actor: Actor;
  /** Version des faits du poste. */
  version: number;
  /** Type de document, nul : tous. */
  type_code?: string | null;
}

/** Délégations d'un professionnel. */
export interface DelegationList {
  /** Délégations. */
  delegations: Array<Delegation>;
}

/** Un document d'un lot ; son contenu est la partie « bodies » de même rang. */
export interface BatchDocument {
  /** Référence du document chez le logiciel. */
  client_ref: string;
  /** Métadonnées (schéma de metadata_schema.json). */
  metadata: any;
  /** Clé de la demande pour ce document. */
  idempotency_key?: string;
}

/** Documents d'épisodes antérieurs, dans l'ordre de leurs contenus. */
export interface BatchRequest {
  /** Documents. */
  documents: Array<BatchDocument>;
}

/** Ce que devient un document du lot : accepté, ou refusé sans rien changer. */
export interface BatchOutcome {
  /** Référence du document. */
  client_ref: string;
  /** Accepté : durable. */
  accepted?: DocumentAccepted | null;
  /** Refusé. */
  refused?: BatchRefusal | null;
}

/** Pourquoi un document du lot est refusé. */
export interface BatchRefusal {
  /** Code stable. */
  code: string;
  /** Phrase. */
  title: string;
  /** Ce que la personne peut faire. */
  action: string;
  /** Endroits en cause, dans ses métadonnées. */
  errors: Array<Finding>;
}

/** Réponse à un lot. */
export interface BatchAccepted {
  /** Un résultat par document, dans l'ordre donné. */
  documents: Array<BatchOutcome>;
}

/** Identité dont les traits vont dans le Datamatrix INS, tels que l'INSi les a donnés. */
export interface InsCodeRequest {
  /** Statut RNIV : seule une identité qualifiée a un Datamatrix. */
  identity_status: "provisoire" | "valid\u00e9e" | "r\u00e9cup\u00e9r\u00e9e" | "qualifi\u00e9e" | (string & {});
  ins: InsIdentifier;
  /** Nom de naissance. */
  birth_name: string;
  /** Liste des prénoms de naissance, séparés par un espace ; 100 caractères tiennent dans le Datamatrix. */
  given_names: string;
  /** Sexe : I n'a pas de Datamatrix. */
  sex: "F" | "M" | "I" | (string & {});
  /** Date de naissance, AAAA-MM-JJ. */
  birth_date: string;
  /** Code officiel géographique du lieu de naissance. */
  birth_place_cog: string;
  /** Côté d'un module, en pixels ; 6 par défaut (un demi-millimètre à 300 points par pouce). */
  module_px?: number;
}

/** Image d'un Datamatrix INS. */
export interface InsCode {
  /** Image PNG en noir et blanc, en base64. */
  png: string;
  /** Modules d'un côté du symbole, sans la zone de silence. */
  modules: number;
}

/** Ce qu'une personne peut réparer. */
export interface Situation {
  code: string;
  title: string;
  action: string;
}

/** Lecteur tel que vu en dernier ; card_id désigne le séjour de la carte. */
export interface Reader {
  name: string;
  state: "empty" | "card" | "mute" | "held" | "failing" | (string & {});
  card: "cps3" | "cps3_contactless" | "cps4" | "vitale1" | "vitale2" | "unknown" | (string & {}) | null;
  card_id: string | null;
  is_shared: boolean;
  situation: Situation | null;
}

/** Lecteur de codes des réglages ; ni prêt ni situation : rien n'est encore su. */
export interface Scanner {
  name: string;
  kind: "serial" | "keyboard" | "camera" | (string & {});
  ready: boolean;
  situation: Situation | null;
}

/** Lecteurs de cartes et lecteurs de codes, et ce qui empêche de les voir. */
export interface Readers {
  state: "off" | "starting" | "running" | "down" | (string & {});
  trouble: Situation | null;
  readers: Array<Reader>;
  scanners: Array<Scanner>;
}

/** Titulaire d'une carte de professionnel, tel que ses certificats le disent. */
export interface CardHolder {
  /** PS_IdNat. */
  national_id: string;
  family_name: string;
  given_name: string | null;
  /** Profession en clair. */
  title: string | null;
  /** Code TRE_G15. */
  profession: number | null;
  /** SMxx et semblables. */
  specialty: string | null;
  category: "cps" | "cpf" | "cpe" | "cpa" | (string & {});
  /** Carte de test : jamais pour un vrai patient. */
  is_test: boolean;
  valid_from: string;
  valid_until: string;
  /** Essais restants du code. */
  pin: "unknown" | "ok" | "low" | "last_try" | "blocked" | (string & {});
}

/** Ce qui est connu d'une carte de professionnel, et où en est son code. */
export interface ProfessionalCard {
  holder: CardHolder | null;
  /** Titulaire connu, non montré à ce logiciel. */
  withheld: boolean;
  unread: Situation | null;
  expiry: "none" | "in_60_days" | "in_30_days" | "in_7_days" | "expired" | "not_yet" | (string & {}) | null;
  /** Jours jusqu'au dernier jour de validité. */
  days_left: number | null;
  session: "closed" | "asking" | "open" | (string & {});
  /** Numéro de la dernière demande de code ; 0 : aucune. */
  attempt: number;
  failure: Situation | null;
}

/** Carte présente ; aussi le contenu de l'évènement card. */
export interface Card {
  card_id: string;
  reader: string;
  kind: "cps3" | "cps3_contactless" | "cps4" | "vitale1" | "vitale2" | "unknown" | (string & {}) | null;
  situation: Situation | null;
  professional: ProfessionalCard | null;
}

/** Code demandé sur le poste. */
export interface CardLogin {
  card_id: string;
  /** L'évènement card qui porte ce numéro dit comment cela finit. */
  attempt: number;
}

/** Cartes présentes. */
export interface CardList {
  cards: Array<Card>;
}

/** Ce qui est attendu, quand on le sait. */
export interface ScanRequest {
  expected?: "ins" | "box" | "2d-doc" | "ordonnance" | "apcv" | "unknown" | (string & {}) | null;
}

/** Ce que dit le code d'une boîte. */
export interface BoxCode {
  gtin: string;
  cip13: string | null;
  lot: string | null;
  /** Dernier jour, AAAA-MM-JJ. */
  expiry: string | null;
  expiry_day_known: boolean;
  serial: string | null;
  hints: Array<string>;
}

/** Un code lu ; withheld : son contenu demande le droit identity. */
export interface Code {
  page: number;
  source: "image" | "pdf" | "camera" | "serial" | "keyboard" | "wedge" | "text" | (string & {});
  kind: "ins" | "box" | "2d-doc" | "ordonnance" | "apcv" | "unknown" | (string & {}) | null;
  withheld: boolean;
  failure: Situation | null;
  ins: InsTraits | null;
  box: BoxCode | null;
  /** Contenu tel quel, en base64. */
  opaque: string | null;
}

/** Codes d'une image, d'un PDF ou d'un texte. */
export interface Scan {
  codes: Array<Code>;
  pages_read: number;
  pages_left: number;
}

/** Code qu'un lecteur vient de lire ; dit une fois, gardé nulle part. */
export interface ScanEvent {
  scanner: string;
  /** Instant. */
  at: string;
  code: Code;
}

/** Personne d'une carte Vitale ; le nom usuel n'est pas un nom de naissance. */
export interface Beneficiary {
  position: number;
  usual_name: string;
  given_name: string;
  birth_name: string | null;
  /** AAAAMMJJ tel qu'écrit. */
  birth_date: string | null;
  is_lunar: boolean;
  birth_rank: number | null;
  /** Quinze caractères, si la clé est juste. */
  nir: string | null;
  nir_key: "valid" | "wrong" | "absent" | (string & {});
  is_certified: boolean;
}

/** Personnes de la carte dont c'est le séjour. */
export interface Beneficiaries {
  card_id: string;
  /** Nom de cette lecture, pour confirmer plus tard qui y fut choisi. */
  reading: string;
  beneficiaries: Array<Beneficiary>;
}

/** Personne choisie sur une lecture. */
export interface BeneficiaryChoice {
  reading: string;
  position: number;
}

/** Traits d'un code INS lu ; jamais une identité vérifiée. */
export interface InsTraits {
  matricule: string;
  oid: string;
  birth_name: string;
  given_names: string;
  sex: string;
  /** JJ-MM-AAAA. */
  birth_date: string;
  birth_place: string | null;
  hints: Array<string>;
}
