// Types du client JavaScript de l'agent Vaguemestre.
// GÉNÉRÉ depuis openapi.json {{version}} par « python docs/generate.py » : ne pas modifier à la main.

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
{{items}};

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
{{methods}}
}

{{models}}
