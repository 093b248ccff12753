// Jumeler, déposer un PDF, suivre les évènements jusqu'à SENT, montrer l'accusé.
// mcs -langversion:7 Vaguemestre.cs Exemple.cs && VAGUEMESTRE_CODE=… mono Vaguemestre.exe metadata.json document.pdf
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using Vaguemestre;

internal static class Exemple
{
    private static int Main(string[] arguments)
    {
        var metadata = File.ReadAllText(arguments[0]);
        var author = (Dictionary<string, object>)((Dictionary<string, object>)Json.Read(metadata, "metadata"))["author"];
        var rpps = (string)author["rpps"];
        var product = new Product
        {
            LpsName = "LGC Essai", LpsVersion = "1.0", LpsId = "0001", HomologationId = "ESSAI-0001", OidRoot = "1.2.250.1.999.1.7898",
            ProxyClientId = Environment.GetEnvironmentVariable("VAGUEMESTRE_PROXY_CLIENT") ?? "essai",
        };
        try
        {
            // Le secret n'est montré qu'ici : un vrai logiciel le range dans le coffre de clés du système.
            var code = Environment.GetEnvironmentVariable("VAGUEMESTRE_CODE");
            var paired = new VaguemestreClient().Pair(new PairingRequest { Code = code, Name = "LGC Essai", Product = product });
            var agent = new VaguemestreClient(credentials: new Credentials(paired.Client.ClientId, paired.Secret));
            agent.Actor = new Actor { User = "dr-essai", Role = "medecin", Rpps = rpps };
            agent.OpenSession(new OpenSessionRequest { NationalId = "8" + rpps, Channel = "CARD", Mode = "ciba" });  // le médecin approuve

            // Une clé par demande : la même à chaque répétition, donc jamais deux dépôts.
            var pdf = new FilePart(File.ReadAllBytes(arguments[1]), "application/pdf");
            var once = new CallOptions { IdempotencyKey = VaguemestreClient.NewIdempotencyKey(), Attempts = 5 };
            var wanted = agent.PutDocument("cr-2026-001", metadata, pdf, options: once).Order.OrderId;
            Console.WriteLine("accepté : " + wanted);

            foreach (var item in agent.Follow())
            {
                if (item.Change != null && (item.Change.Order == null || item.Change.Order.OrderId != wanted)) continue;
                var order = item.Change != null ? item.Change.Order : agent.GetOrder(wanted);  // l'état initial : relire le sien
                Console.WriteLine("état : " + order.State);
                if (order.State != "sent") continue;
                Console.WriteLine("accusé : " + order.UniqueId + " " + Json.Write(order.Receipt));
                return 0;
            }
            return 1;
        }
        catch (ApiProblem problem)
        {
            Console.Error.WriteLine(problem.Code + " : " + problem.Title + " " + problem.Action);
            return 1;
        }
    }
}
