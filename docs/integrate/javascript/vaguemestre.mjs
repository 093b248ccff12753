// Client JavaScript de l'agent Vaguemestre (Node.js 18 ou plus, module ES, sans dépendance).
// GÉNÉRÉ depuis openapi.json 1.0.0 par « python docs/generate.py » : ne pas modifier à la main.
// Licence Apache-2.0. Types : vaguemestre.d.mts, à côté.

import { createHash, randomBytes, randomUUID } from "node:crypto";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import { StringDecoder } from "node:string_decoder";

export const API_VERSION = "1.0.0";
const HOST = "vaguemestre.local";
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;
const MAX_EVENT_CHARS = 16 * 1024 * 1024;
const NEVER_CONNECTED = new Set(["ENOENT", "ECONNREFUSED", "EACCES", "EPERM"]);

/** Racine des erreurs de ce client. */
export class VaguemestreError extends Error {
  constructor(message, options) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** Personne n'écoute : rien n'a été envoyé, l'appel peut être refait. */
export class AgentNotRunning extends VaguemestreError {
  constructor(cause) {
    super("no agent listens there", { cause });
  }
}

/** Pas de réponse à temps : une écriture a pu être faite. Un dépôt se répète tel quel, avec la même clé. */
export class AgentSilent extends VaguemestreError {
  constructor(cause) {
    super("the agent did not answer", { cause });
  }
}

/** La réponse n'est pas celle du contrat. */
export class AnswerUnreadable extends VaguemestreError {
  constructor(where) {
    super(`the answer cannot be read: ${where}`);
    this.where = where;
  }
}

/** L'agent a refusé : un problème RFC 9457. `code` est stable ; `title` et `action` sont à montrer à la personne. */
export class ApiProblem extends VaguemestreError {
  constructor(problem, retryAfterS) {
    super(`${problem.code} (${problem.status}), support ${problem.support_id}`);
    this.status = problem.status;
    this.code = problem.code;
    this.title = problem.title;
    this.detail = problem.detail;
    this.action = problem.action;
    this.link = problem.link;
    this.recovery = problem.recovery;
    this.supportId = problem.support_id;
    this.params = problem.params ?? {};
    this.findings = problem.errors ?? [];
    this.retryAfterS = retryAfterS;
  }
}

/** Adresse de l'agent de cet utilisateur : socket Unix, ou tube nommé sous Windows. Mêmes règles que l'agent. */
export function defaultAddress(environment = process.env) {
  const home = environment.VAGUEMESTRE_HOME;
  if (home) return addressOf(path.join(path.resolve(home), "run"));
  if (process.platform === "win32") {
    const local = environment.LOCALAPPDATA ?? path.join(os.homedir(), "AppData", "Local");
    return addressOf(path.join(local, "Vaguemestre", "run"));
  }
  if (process.platform === "darwin") {
    return addressOf(path.join(os.homedir(), "Library", "Application Support", "Vaguemestre", "run"));
  }
  if (environment.XDG_RUNTIME_DIR) return addressOf(path.join(environment.XDG_RUNTIME_DIR, "vaguemestre"));
  const state = environment.XDG_STATE_HOME || path.join(os.homedir(), ".local", "state");
  return addressOf(path.join(state, "vaguemestre", "run"));
}

function addressOf(runtime) {
  const mark = createHash("sha256").update(runtime, "utf8").digest("hex").slice(0, 16);
  if (process.platform === "win32") return `\\\\.\\pipe\\vaguemestre-${mark}`;
  const address = path.join(runtime, "agent.sock");
  if (Buffer.byteLength(address) <= 100) return address;
  return path.join(os.tmpdir(), `vaguemestre-${process.getuid()}-${mark}`, "agent.sock");
}

/** Clé d'idempotence neuve : une par demande, la même pour chaque répétition de cette demande. */
export function newIdempotencyKey() {
  return randomUUID();
}

function wait(ms, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    if (signal?.aborted) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  });
}

function parseJson(bytes, where) {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch {
    throw new AnswerUnreadable(where);
  }
}

function problemOf(answer) {
  let value = null;
  try {
    value = JSON.parse(answer.body.toString("utf8"));
  } catch {
    // said below
  }
  if (value === null || typeof value !== "object" || typeof value.code !== "string" || typeof value.title !== "string") {
    return new AnswerUnreadable(`status ${answer.status}`);
  }
  const after = Number(answer.headers["retry-after"]);
  return new ApiProblem(value, Number.isFinite(after) ? after : undefined);
}

function actorHeader(actor) {
  const pairs = new URLSearchParams({ user: actor.user, role: actor.role });
  if (actor.rpps != null) pairs.set("rpps", actor.rpps);
  return pairs.toString();
}

function formOf(parts) {
  const boundary = randomBytes(16).toString("hex");
  const pieces = [];
  for (const [name, kind, value] of parts) {
    if (value === undefined || value === null) continue;
    let head = `--${boundary}\r\nContent-Disposition: form-data; name="${name}"`;
    let content;
    if (kind === "binary") {
      if (!/^[\x21-\x7e ]+$/.test(value.mediaType ?? "")) throw new TypeError(`${name}.mediaType`);
      head += `; filename="${name}"\r\nContent-Type: ${value.mediaType}`;
      content = Buffer.from(value.content);
    } else if (kind === "json") {
      head += "\r\nContent-Type: application/json";
      content = typeof value === "string" || value instanceof Uint8Array ? Buffer.from(value) : Buffer.from(JSON.stringify(value));
    } else {
      content = Buffer.from(String(value));
    }
    pieces.push(Buffer.from(`${head}\r\n\r\n`), content, Buffer.from("\r\n"));
  }
  pieces.push(Buffer.from(`--${boundary}--\r\n`));
  return { type: `multipart/form-data; boundary=${boundary}`, content: Buffer.concat(pieces) };
}

class EventReader {
  #decoder = new StringDecoder("utf8");
  #rest = "";
  #name = "";
  #data = [];
  #size = 0;
  lastId = null;

  *feed(chunk) {
    this.#rest += this.#decoder.write(chunk);
    let end;
    while ((end = this.#rest.search(/\r\n|\n|\r(?!$)/)) >= 0) {
      const line = this.#rest.slice(0, end);
      this.#rest = this.#rest.slice(end + (this.#rest.startsWith("\r\n", end) ? 2 : 1));
      if (line === "") {
        if (this.#data.length > 0) yield { name: this.#name, data: this.#data.join("\n"), lastId: this.lastId };
        this.#name = "";
        this.#data = [];
        this.#size = 0;
        continue;
      }
      const colon = line.indexOf(":");
      const field = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (field === "event") this.#name = value;
      else if (field === "data") {
        this.#data.push(value);
        this.#size += value.length;
      } else if (field === "id" && !value.includes("\0")) this.lastId = value;
    }
    if (this.#rest.length + this.#size > MAX_EVENT_CHARS) throw new AnswerUnreadable("stream");
  }
}

/** Un client d'un agent. Sans état : une connexion par appel, une de plus par flux. */
export class VaguemestreClient {
  #secret;

  constructor({ address = defaultAddress(), credentials = null, actor = null, timeoutMs = 30_000, startGraceMs = 10_000 } = {}) {
    this.address = address;
    this.actor = actor;
    this.timeoutMs = timeoutMs;
    this.startGraceMs = startGraceMs;
    this.#secret = credentials && `Vaguemestre ${credentials.clientId}:${credentials.secret}`;
  }

  /** Suit les évènements sans fin : reprend après une coupure ou un redémarrage au dernier numéro vu. */
  async *follow(after = null, { signal, patienceMs = Infinity, idleMs = 60_000 } = {}) {
    let awaySince = null;
    for (;;) {
      try {
        for await (const item of this.streamEvents(after === null ? {} : { after }, { signal, idleMs })) {
          awaySince = null;
          if (item.resumeAfter !== null) after = item.resumeAfter;
          else if (item.event === "resync") after = null;
          yield item;
        }
      } catch (error) {
        if (!(error instanceof AgentNotRunning || error instanceof AgentSilent)) throw error;
        awaySince ??= Date.now();
        if (Date.now() - awaySince > patienceMs) throw new AgentNotRunning(error);
      }
      await wait(250, signal);
    }
  }

  /** État de l'agent (sans jumelage : sans les compteurs). */
  getHealth(options = {}) {
    return this.#call(ROUTES.getHealth, {}, options);
  }

  /** Ce document. */
  getOpenApi(options = {}) {
    return this.#call(ROUTES.getOpenApi, {}, options);
  }

  /** Jumeler un logiciel avec un code. */
  pair(request, options = {}) {
    return this.#call(ROUTES.pair, { request }, options);
  }

  /** Ouvrir un jumelage. */
  openPairing(request, options = {}) {
    return this.#call(ROUTES.openPairing, { request }, options);
  }

  /** Logiciels jumelés. */
  listClients(options = {}) {
    return this.#call(ROUTES.listClients, {}, options);
  }

  /** Révoquer un logiciel. */
  revokeClient(clientId, options = {}) {
    return this.#call(ROUTES.revokeClient, { path: { client_id: clientId } }, options);
  }

  /** Déposer des documents d'épisodes antérieurs (INS qualifiée, sinon aucun). */
  putDocuments(form, options = {}) {
    return this.#call(ROUTES.putDocuments, { form: [["documents", "json", form.documents], ...(form.bodies ?? []).map((part) => ["bodies", "binary", part]), ["hold", "text", form.hold], ["send_now", "text", form.send_now]] }, options);
  }

  /** Où en est un document. */
  getDocument(clientRef, options = {}) {
    return this.#call(ROUTES.getDocument, { path: { client_ref: clientRef } }, options);
  }

  /** Déposer la version voulue d'un document. */
  putDocument(clientRef, form, options = {}) {
    return this.#call(ROUTES.putDocument, { path: { client_ref: clientRef }, form: [["metadata", "json", form.metadata], ["body", "binary", form.body], ["hold", "text", form.hold], ["send_now", "text", form.send_now]] }, options);
  }

  /** Supprimer un document : arrêter ce qui n'est pas parti, faire supprimer ce qui est au DMP. */
  deleteDocument(clientRef, query, options = {}) {
    return this.#call(ROUTES.deleteDocument, { path: { client_ref: clientRef }, query }, options);
  }

  /** Dire qui voit un document, avant son envoi ou après. */
  setVisibility(clientRef, request, options = {}) {
    return this.#call(ROUTES.setVisibility, { path: { client_ref: clientRef }, request }, options);
  }

  /** Documents invisibles au patient, à lui annoncer. */
  listAnnouncements(options = {}) {
    return this.#call(ROUTES.listAnnouncements, {}, options);
  }

  /** Ordres visibles, le plus récent d'abord. */
  listOrders(query = {}, options = {}) {
    return this.#call(ROUTES.listOrders, { query }, options);
  }

  /** Un ordre. */
  getOrder(orderId, options = {}) {
    return this.#call(ROUTES.getOrder, { path: { order_id: orderId } }, options);
  }

  /** Pourquoi il n'est pas parti. */
  explainOrder(orderId, options = {}) {
    return this.#call(ROUTES.explainOrder, { path: { order_id: orderId } }, options);
  }

  /** Bloquer. */
  holdOrder(orderId, request = {}, options = {}) {
    return this.#call(ROUTES.holdOrder, { path: { order_id: orderId }, request }, options);
  }

  /** Lever le blocage d'une personne. */
  releaseOrder(orderId, request = {}, options = {}) {
    return this.#call(ROUTES.releaseOrder, { path: { order_id: orderId }, request }, options);
  }

  /** Laisser partir ce que le mode observation avait retenu. */
  releaseOrderFromShadow(orderId, request = {}, options = {}) {
    return this.#call(ROUTES.releaseOrderFromShadow, { path: { order_id: orderId }, request }, options);
  }

  /** Annuler, honnêtement. */
  cancelOrder(orderId, request = {}, options = {}) {
    return this.#call(ROUTES.cancelOrder, { path: { order_id: orderId }, request }, options);
  }

  /** Laisser partir sans différé. */
  sendOrderNow(orderId, request = {}, options = {}) {
    return this.#call(ROUTES.sendOrderNow, { path: { order_id: orderId }, request }, options);
  }

  /** Trancher : le verdict d'une personne. */
  resolveOrder(orderId, request, options = {}) {
    return this.#call(ROUTES.resolveOrder, { path: { order_id: orderId }, request }, options);
  }

  /** Rapprocher des références. */
  reconcile(request, options = {}) {
    return this.#call(ROUTES.reconcile, { request }, options);
  }

  /** Dossier ouvert ou fermé chez le logiciel. */
  setPatientContext(request, options = {}) {
    return this.#call(ROUTES.setPatientContext, { request }, options);
  }

  /** Ce que le patient a dit, et ce qui est permis. */
  getConsents(patientRef, query = {}, options = {}) {
    return this.#call(ROUTES.getConsents, { path: { patient_ref: patientRef }, query }, options);
  }

  /** Enregistrer consentements et oppositions : ce qui attend est bloqué ou libéré aussitôt. */
  recordConsents(patientRef, request, options = {}) {
    return this.#call(ROUTES.recordConsents, { path: { patient_ref: patientRef }, request }, options);
  }

  /** Dire qu'une identité a changé : ce qui attend est bloqué, des suppressions sont proposées. */
  recordIdentityEvent(patientRef, request, options = {}) {
    return this.#call(ROUTES.recordIdentityEvent, { path: { patient_ref: patientRef }, request }, options);
  }

  /** Faire l'image du Datamatrix INS d'une identité qualifiée, avec « INS à scanner ». */
  makeInsCode(request, options = {}) {
    return this.#call(ROUTES.makeInsCode, { request }, options);
  }

  /** Délégations d'un professionnel. */
  getDelegations(query, options = {}) {
    return this.#call(ROUTES.getDelegations, { query }, options);
  }

  /** Accorder ou retirer une délégation à un poste. */
  delegate(request, options = {}) {
    return this.#call(ROUTES.delegate, { request }, options);
  }

  /** Flux : état initial puis changements numérotés (SSE). */
  streamEvents(query = {}, options = {}) {
    return this.#stream(ROUTES.streamEvents, { query }, options);
  }

  /** Qui peut envoyer d'ici. */
  getSession(options = {}) {
    return this.#call(ROUTES.getSession, {}, options);
  }

  /** Adopter la session du logiciel. */
  adoptSession(request, options = {}) {
    return this.#call(ROUTES.adoptSession, { request }, options);
  }

  /** Ouvrir une session du Proxy e-santé (une personne l'a demandé). */
  openSession(request, options = {}) {
    return this.#call(ROUTES.openSession, { request }, options);
  }

  /** Fermer une session. */
  closeSession(query, options = {}) {
    return this.#call(ROUTES.closeSession, { query }, options);
  }

  /** Lecteurs de ce poste, et ce qui empêche de les voir. */
  listReaders(options = {}) {
    return this.#call(ROUTES.listReaders, {}, options);
  }

  /** Cartes présentes dans les lecteurs (titulaire d'une carte de professionnel : droit control ou admin). */
  listCards(options = {}) {
    return this.#call(ROUTES.listCards, {}, options);
  }

  /** Demander sur le poste le code d'une carte de professionnel ; l'évènement card dit comment cela finit. */
  logInCard(cardId, options = {}) {
    return this.#call(ROUTES.logInCard, { path: { card_id: cardId } }, options);
  }

  /** Fermer la session d'une carte de professionnel. */
  logOutCard(cardId, options = {}) {
    return this.#call(ROUTES.logOutCard, { path: { card_id: cardId } }, options);
  }

  /** Lire les bénéficiaires d'une carte Vitale présente. */
  readBeneficiaries(cardId, options = {}) {
    return this.#call(ROUTES.readBeneficiaries, { path: { card_id: cardId } }, options);
  }

  /** Confirmer un bénéficiaire choisi : la carte présente est relue et doit être la même. */
  confirmBeneficiary(cardId, request, options = {}) {
    return this.#call(ROUTES.confirmBeneficiary, { path: { card_id: cardId }, request }, options);
  }

  /** Lire les codes d'une image, d'un PDF ou d'un texte (contenu d'un patient : droit identity). */
  scan(form, options = {}) {
    return this.#call(ROUTES.scan, { form: [["metadata", "json", form.metadata], ["body", "binary", form.body]] }, options);
  }

  /** Effacer ce qui est gardé d'un patient : contenus, titres, lien avec la personne. */
  erasePatient(request, options = {}) {
    return this.#call(ROUTES.erasePatient, { request }, options);
  }

  /** Sauvegardes de ce poste dans le dossier réglé. */
  listBackups(options = {}) {
    return this.#call(ROUTES.listBackups, {}, options);
  }

  /** Demander une sauvegarde maintenant ; la santé et le registre disent quand elle est faite. */
  makeBackup(request = {}, options = {}) {
    return this.#call(ROUTES.makeBackup, { request }, options);
  }

  /** Lignes du registre (les siennes ; toutes pour `admin`). */
  readLedger(query = {}, options = {}) {
    return this.#call(ROUTES.readLedger, { query }, options);
  }

  /** Indicateurs d'alimentation du DMP (les siens ; tous pour `admin`). */
  getIndicators(query = {}, options = {}) {
    return this.#call(ROUTES.getIndicators, { query }, options);
  }

  /** Recalculer la chaîne du registre. */
  verifyLedger(options = {}) {
    return this.#call(ROUTES.verifyLedger, {}, options);
  }

  async #call(route, call, options) {
    const attempts = route.repeatable ? Math.max(1, options.attempts ?? 1) : 1;
    const headers = {};
    if (route.key) {
      const key = options.idempotencyKey ?? (attempts > 1 ? newIdempotencyKey() : undefined);
      if (key !== undefined) headers["Idempotency-Key"] = key;
    }
    const actor = options.actor ?? this.actor;
    if (route.actor && actor) headers["Vaguemestre-Actor"] = actorHeader(actor);
    let content = null;
    if (call.form) {
      const form = formOf(call.form);
      headers["Content-Type"] = form.type;
      content = form.content;
    } else if (call.request !== undefined) {
      headers["Content-Type"] = "application/json";
      content = Buffer.from(JSON.stringify(call.request));
    }
    for (let attempt = 1; ; attempt += 1) {
      try {
        const answer = await this.#answer(route, this.#target(route, call), headers, content, options);
        if (!route.statuses.includes(answer.status)) throw problemOf(answer);
        if (route.answer === "nothing") return undefined;
        return route.answer === "bytes" ? answer.body : parseJson(answer.body, route.name);
      } catch (error) {
        const busy = error instanceof ApiProblem && error.status === 503;
        if (attempt >= attempts || !(busy || error instanceof AgentSilent || error instanceof AgentNotRunning)) throw error;
        await wait(busy ? (error.retryAfterS ?? 1) * 1000 : Math.min(250 * 2 ** attempt, 5000), options.signal);
      }
    }
  }

  async *#stream(route, call, { signal, idleMs = 60_000 }) {
    const response = await this.#open(route, this.#target(route, call), {}, null, { signal, timeoutMs: idleMs });
    try {
      if (response.statusCode !== 200) {
        throw problemOf({ status: response.statusCode, headers: response.headers, body: await collect(response) });
      }
      response.socket?.setTimeout(idleMs, () => response.destroy(new Error("idle")));
      const reader = new EventReader();
      try {
        for await (const chunk of response) {
          for (const { name, data, lastId } of reader.feed(chunk)) {
            if (!EVENTS.includes(name)) throw new AnswerUnreadable(name);
            const resumeAfter = lastId !== null && /^\d+$/.test(lastId) ? Number(lastId) : null;
            yield { event: name, content: parseJson(Buffer.from(data), name), resumeAfter };
          }
        }
      } catch (error) {
        if (error instanceof VaguemestreError || signal?.aborted) throw error;
        throw new AgentSilent(error);
      }
    } finally {
      response.destroy();
    }
  }

  #target(route, call) {
    let target = route.path;
    for (const [name, value] of Object.entries(call.path ?? {})) {
      if (typeof value !== "string" || value === "") throw new TypeError(name);
      target = target.replace(`{${name}}`, encodeURIComponent(value));
    }
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(call.query ?? {})) {
      if (value === undefined || value === null) continue;
      for (const item of Array.isArray(value) ? value : [value]) query.append(name, String(item));
    }
    const text = query.toString();
    return text ? `${target}?${text}` : target;
  }

  async #answer(route, target, headers, content, options) {
    const timeoutMs = options.timeoutMs ?? this.timeoutMs;
    const deadline = AbortSignal.timeout(timeoutMs);
    const response = await this.#open(route, target, headers, content, { signal: options.signal, timeoutMs });
    const stop = () => response.destroy(new Error("timeout"));
    deadline.addEventListener("abort", stop, { once: true });
    try {
      return { status: response.statusCode, headers: response.headers, body: await collect(response) };
    } catch (error) {
      if (error instanceof VaguemestreError || options.signal?.aborted) throw error;
      throw new AgentSilent(error);
    } finally {
      deadline.removeEventListener("abort", stop);
      response.destroy();
    }
  }

  async #open(route, target, headers, content, { signal, timeoutMs }) {
    const givenUp = Date.now() + this.startGraceMs;
    for (;;) {
      try {
        return await this.#request(route, target, headers, content, signal, timeoutMs);
      } catch (error) {
        if (!(error instanceof AgentNotRunning) || Date.now() > givenUp) throw error;
        await wait(50, signal);
      }
    }
  }

  #request(route, target, headers, content, signal, timeoutMs) {
    return new Promise((resolve, reject) => {
      const all = { Accept: route.answer === "stream" ? "text/event-stream" : "application/json", ...headers, Host: HOST };
      if (this.#secret) all.Authorization = this.#secret;
      if (content !== null) all["Content-Length"] = String(content.length);
      const request = http.request({
        socketPath: this.address, method: route.method, path: target, headers: all, agent: false, signal, setDefaultHeaders: true,
      });
      const timer = setTimeout(() => request.destroy(new Error("timeout")), timeoutMs);
      let answered = false;
      request.on("response", (response) => {
        answered = true;
        clearTimeout(timer);
        resolve(response);
      });
      request.on("error", (error) => {
        clearTimeout(timer);
        if (answered) return;
        if (signal?.aborted) reject(signal.reason ?? error);
        else if (error.syscall === "connect" && NEVER_CONNECTED.has(error.code)) reject(new AgentNotRunning(error));
        else reject(new AgentSilent(error));
      });
      request.end(content ?? undefined);
    });
  }
}

async function collect(response) {
  const pieces = [];
  let size = 0;
  for await (const piece of response) {
    size += piece.length;
    if (size > MAX_ANSWER_BYTES) throw new AnswerUnreadable("size");
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

const EVENTS = ["snapshot", "change", "resync", "readers", "card", "scan"];
const ROUTES = {
  getHealth: { name: "getHealth", method: "GET", path: "/v1/health", statuses: [200], answer: "model", repeatable: true },
  getOpenApi: { name: "getOpenApi", method: "GET", path: "/v1/openapi.json", statuses: [200], answer: "json", repeatable: true },
  pair: { name: "pair", method: "POST", path: "/v1/pairing", statuses: [201], answer: "model" },
  openPairing: { name: "openPairing", method: "POST", path: "/v1/pairing/open", statuses: [201], answer: "model", actor: true },
  listClients: { name: "listClients", method: "GET", path: "/v1/clients", statuses: [200], answer: "model", repeatable: true },
  revokeClient: { name: "revokeClient", method: "DELETE", path: "/v1/clients/{client_id}", statuses: [204], answer: "nothing", actor: true },
  putDocuments: { name: "putDocuments", method: "POST", path: "/v1/documents", statuses: [200], answer: "model", actor: true },
  getDocument: { name: "getDocument", method: "GET", path: "/v1/documents/{client_ref}", statuses: [200], answer: "model", repeatable: true },
  putDocument: { name: "putDocument", method: "PUT", path: "/v1/documents/{client_ref}", statuses: [200, 201], answer: "model", actor: true, key: true, repeatable: true },
  deleteDocument: { name: "deleteDocument", method: "DELETE", path: "/v1/documents/{client_ref}", statuses: [200], answer: "model", actor: true, key: true, repeatable: true },
  setVisibility: { name: "setVisibility", method: "PUT", path: "/v1/documents/{client_ref}/visibility", statuses: [200], answer: "model", actor: true, key: true, repeatable: true },
  listAnnouncements: { name: "listAnnouncements", method: "GET", path: "/v1/announcements", statuses: [200], answer: "model", repeatable: true },
  listOrders: { name: "listOrders", method: "GET", path: "/v1/orders", statuses: [200], answer: "model", repeatable: true },
  getOrder: { name: "getOrder", method: "GET", path: "/v1/orders/{order_id}", statuses: [200], answer: "model", repeatable: true },
  explainOrder: { name: "explainOrder", method: "GET", path: "/v1/orders/{order_id}/why", statuses: [200], answer: "model", repeatable: true },
  holdOrder: { name: "holdOrder", method: "POST", path: "/v1/orders/{order_id}/hold", statuses: [200], answer: "model", actor: true },
  releaseOrder: { name: "releaseOrder", method: "POST", path: "/v1/orders/{order_id}/release", statuses: [200], answer: "model", actor: true },
  releaseOrderFromShadow: { name: "releaseOrderFromShadow", method: "POST", path: "/v1/orders/{order_id}/release-from-shadow", statuses: [200], answer: "model", actor: true },
  cancelOrder: { name: "cancelOrder", method: "POST", path: "/v1/orders/{order_id}/cancel", statuses: [200], answer: "model", actor: true },
  sendOrderNow: { name: "sendOrderNow", method: "POST", path: "/v1/orders/{order_id}/send-now", statuses: [200], answer: "model", actor: true },
  resolveOrder: { name: "resolveOrder", method: "POST", path: "/v1/orders/{order_id}/resolve", statuses: [200], answer: "model", actor: true },
  reconcile: { name: "reconcile", method: "POST", path: "/v1/reconcile", statuses: [200], answer: "model" },
  setPatientContext: { name: "setPatientContext", method: "PUT", path: "/v1/context/patient", statuses: [200], answer: "model", actor: true },
  getConsents: { name: "getConsents", method: "GET", path: "/v1/patients/{patient_ref}/consents", statuses: [200], answer: "model", repeatable: true },
  recordConsents: { name: "recordConsents", method: "POST", path: "/v1/patients/{patient_ref}/consents", statuses: [200], answer: "model", actor: true },
  recordIdentityEvent: { name: "recordIdentityEvent", method: "POST", path: "/v1/patients/{patient_ref}/identity-events", statuses: [200], answer: "model", actor: true },
  makeInsCode: { name: "makeInsCode", method: "POST", path: "/v1/ins-codes", statuses: [200], answer: "model" },
  getDelegations: { name: "getDelegations", method: "GET", path: "/v1/delegations", statuses: [200], answer: "model", repeatable: true },
  delegate: { name: "delegate", method: "POST", path: "/v1/delegations", statuses: [200], answer: "model", actor: true },
  streamEvents: { name: "streamEvents", method: "GET", path: "/v1/events", statuses: [200], answer: "stream", repeatable: true },
  getSession: { name: "getSession", method: "GET", path: "/v1/session", statuses: [200], answer: "model", repeatable: true },
  adoptSession: { name: "adoptSession", method: "PUT", path: "/v1/session", statuses: [200], answer: "model", actor: true },
  openSession: { name: "openSession", method: "POST", path: "/v1/session", statuses: [202], answer: "model", actor: true },
  closeSession: { name: "closeSession", method: "DELETE", path: "/v1/session", statuses: [204], answer: "nothing", actor: true },
  listReaders: { name: "listReaders", method: "GET", path: "/v1/readers", statuses: [200], answer: "model", repeatable: true },
  listCards: { name: "listCards", method: "GET", path: "/v1/cards", statuses: [200], answer: "model", repeatable: true },
  logInCard: { name: "logInCard", method: "POST", path: "/v1/cards/{card_id}/login", statuses: [202], answer: "model", actor: true },
  logOutCard: { name: "logOutCard", method: "POST", path: "/v1/cards/{card_id}/logout", statuses: [204], answer: "nothing", actor: true },
  readBeneficiaries: { name: "readBeneficiaries", method: "POST", path: "/v1/cards/{card_id}/beneficiaries", statuses: [200], answer: "model", actor: true },
  confirmBeneficiary: { name: "confirmBeneficiary", method: "POST", path: "/v1/cards/{card_id}/beneficiaries/confirm", statuses: [200], answer: "model", actor: true },
  scan: { name: "scan", method: "POST", path: "/v1/scans", statuses: [200], answer: "model" },
  erasePatient: { name: "erasePatient", method: "POST", path: "/v1/patients/erasure", statuses: [200], answer: "model", actor: true },
  listBackups: { name: "listBackups", method: "GET", path: "/v1/backups", statuses: [200], answer: "model", repeatable: true },
  makeBackup: { name: "makeBackup", method: "POST", path: "/v1/backups", statuses: [202], answer: "nothing", actor: true },
  readLedger: { name: "readLedger", method: "GET", path: "/v1/ledger", statuses: [200], answer: "model", repeatable: true },
  getIndicators: { name: "getIndicators", method: "GET", path: "/v1/indicators", statuses: [200], answer: "model", repeatable: true },
  verifyLedger: { name: "verifyLedger", method: "GET", path: "/v1/ledger/verify", statuses: [200], answer: "model", repeatable: true },
};
