// What the tests ask of the JavaScript client: each case prints {"case", "outcome"}; the tests compare both languages.
import { readFileSync } from "node:fs";
import * as sdk from "../../../docs/integrate/javascript/vaguemestre.mjs";

const plan = JSON.parse(readFileSync(0, "utf8"));
const actor = { user: "u-1", role: "medecin" };
const say = (name, outcome) => process.stdout.write(`${JSON.stringify({ case: name, outcome })}\n`);
const client = (more = {}) => new sdk.VaguemestreClient({
  address: plan.address, credentials: plan.credentials && { clientId: plan.credentials[0], secret: plan.credentials[1] }, actor, startGraceMs: 0, timeoutMs: 15000, ...more,
});

async function outcome(work) {
  try {
    return await work();
  } catch (error) {
    if (error instanceof sdk.ApiProblem) {
      const complete = [error.title, error.supportId, error.recovery].every((t) => typeof t === "string" && t !== "") && typeof error.action === "string";
      const pointers = error.findings.map((f) => f.pointer).sort();
      return { problem: error.code, status: error.status, complete, pointers };
    }
    return { error: error.constructor.name };
  }
}

const form = (change = {}, body = plan.pdf) => ({
  metadata: { ...plan.metadata, ...change }, body: { content: Buffer.from(body, "base64"), mediaType: "application/pdf" },
});

const CASES = {
  problems: async () => {
    const agent = client();
    const put = (ref, f, options) => agent.putDocument(ref, f, options).then((a) => ({ replayed: a.replayed, ref: a.order.client_ref }));
    say("unpaired health", await outcome(async () => ({ ready: (await client({ credentials: null }).getHealth()).ready })));
    say("no credentials", await outcome(() => client({ credentials: null }).listOrders()));
    say("wrong secret", await outcome(() => client({ credentials: { clientId: plan.credentials[0], secret: "0".repeat(43) } }).listOrders()));
    say("scope missing", await outcome(() => agent.listClients()));
    say("unknown order", await outcome(() => agent.getOrder("o-000000000000000000000000")));
    say("no actor", await outcome(() => client({ actor: null }).putDocument("cr-a", form())));
    say("metadata refused", await outcome(() => put("cr-b", form({ type_code: 5, author: null }))));
    say("strange reference", await outcome(() => put("é /?#%2F+&\u{1f600}", form({ title: "Étrange \u{1f600} \"\\" }), { idempotencyKey: "k-strange", attempts: 3 })));
    say("strange reference again", await outcome(() => put("é /?#%2F+&\u{1f600}", form({ title: "Étrange \u{1f600} \"\\" }), { idempotencyKey: "k-strange" })));
    say("same key, other content", await outcome(() => put("cr-c", form({ title: "Autre" }), { idempotencyKey: "k-strange" })));
    say("strange reference read", await outcome(async () => ({ orders: (await agent.getDocument("é /?#%2F+&\u{1f600}")).orders.length })));
    say("title read", await outcome(async () => ({ title: (await agent.listOrders({ titles: true, state: ["preparing", "deferred", "ready"], limit: 5 })).orders[0].title })));
    say("too large", await outcome(() => put("cr-d", form({}, Buffer.alloc(26_000_001).toString("base64")))));
    say("query refused", await outcome(() => agent.listOrders({ limit: 100000 })));
    say("pairing code wrong", await outcome(() => client({ credentials: null }).pair({ code: "0000-0000", name: "x" })));
    say("nobody there", await outcome(() => client({ address: `${plan.address}.absent` }).getHealth()));
  },
  resume: async () => {
    const agent = client();
    const items = [];
    for await (const item of agent.streamEvents({ after: 1 })) {
      items.push(item.event === "change" ? item.content.line.seq : item.event);
      if (items.length === 2) break;
    }
    say("from the second change", items);
    for await (const item of agent.streamEvents({ after: 1_000_000 })) {
      say("ahead", { event: item.event, reason: item.content.reason });
      break;
    }
  },
  follow: async () => {
    for await (const { event, content } of client().follow()) {
      if (event === "snapshot" && content.last) say("ready", content.at);
      if (event === "change") {
        say("change", content.line.seq);
        if (content.order?.client_ref === plan.until) break;
      }
    }
  },
  scripted: async () => {
    for (const [name, address] of plan.addresses) {
      const agent = client({ address, timeoutMs: 1500 });
      if (name.startsWith("stream")) {
        say(name, await outcome(async () => {
          const seen = [];
          for await (const item of agent.streamEvents({}, { idleMs: 1500 })) seen.push([item.event, item.content.reason, item.resumeAfter]);
          return seen;
        }));
      } else say(name, await outcome(async () => ({ version: (await agent.getHealth()).version })));
    }
  },
};
await CASES[plan.run]();
