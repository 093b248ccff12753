// Jumeler, déposer un PDF, suivre les évènements jusqu'à SENT, montrer l'accusé.
// VAGUEMESTRE_CODE=… node exemple.mjs metadata.json document.pdf     (le code : « vaguemestre pair open »)
import { readFile } from "node:fs/promises";
import { ApiProblem, VaguemestreClient, newIdempotencyKey } from "./vaguemestre.mjs";

const [metadataFile, pdfFile] = process.argv.slice(2);
const metadata = JSON.parse(await readFile(metadataFile, "utf8"));
const product = {
  lps_name: "LGC Essai", lps_version: "1.0", lps_id: "0001", homologation_id: "ESSAI-0001",
  proxy_client_id: process.env.VAGUEMESTRE_PROXY_CLIENT ?? "essai", oid_root: "1.2.250.1.999.1.7898",
};
const doctor = `8${metadata.author.rpps}`; // PS_IdNat : 8 puis le RPPS

try {
  // Le secret n'est montré qu'ici : un vrai logiciel le range dans le coffre de clés du système.
  const { client, secret } = await new VaguemestreClient().pair({ code: process.env.VAGUEMESTRE_CODE, name: "LGC Essai", product });
  const agent = new VaguemestreClient({
    credentials: { clientId: client.client_id, secret },
    actor: { user: "dr-essai", role: "medecin", rpps: metadata.author.rpps },
  });
  await agent.openSession({ national_id: doctor, channel: "CARD", mode: "ciba" }); // le médecin approuve sur son appareil

  // Une clé par demande : la même à chaque répétition, donc jamais deux dépôts.
  const form = { metadata, body: { content: await readFile(pdfFile), mediaType: "application/pdf" } };
  const accepted = await agent.putDocument("cr-2026-001", form, { idempotencyKey: newIdempotencyKey(), attempts: 5 });
  console.log(`accepté : ${accepted.order.order_id}`);

  for await (const { event, content } of agent.follow()) {
    const order = event === "snapshot" ? content.orders.find((o) => o.order_id === accepted.order.order_id) : content.order;
    if (order?.order_id !== accepted.order.order_id && event !== "snapshot") continue;
    const now = order ?? (await agent.getOrder(accepted.order.order_id)); // l'état initial ne montre que ce qui est en cours
    console.log(`état : ${now.state}`);
    if (now.state === "sent") {
      console.log(`accusé : ${JSON.stringify({ unique_id: now.unique_id, ...now.receipt })}`);
      break;
    }
  }
} catch (error) {
  if (!(error instanceof ApiProblem)) throw error;
  console.error(`${error.code} : ${error.title} ${error.action}`);
  process.exitCode = 1;
}
