// What the tests ask of the C# client: each case prints {"case", "outcome"}; the tests compare both languages.
using System;
using System.Collections.Generic;
using System.Linq;
using System.Text;
using Vaguemestre;

internal static class Abuse
{
    private static Dictionary<string, object> plan;
    private static readonly Actor Someone = new Actor { User = "u-1", Role = "medecin" };
    private const string Strange = "é /?#%2F+&\ud83d\ude00";

    private static Dictionary<string, object> Map(params object[] pairs)
    {
        var map = new Dictionary<string, object>();
        for (var i = 0; i < pairs.Length; i += 2) map[(string)pairs[i]] = pairs[i + 1];
        return map;
    }

    private static void Say(string name, object outcome)
    {
        Console.Out.WriteLine(Json.Write(Map("case", name, "outcome", outcome)));
        Console.Out.Flush();
    }

    private static VaguemestreClient Client(string address = null, bool paired = true, string secret = null, bool hasActor = true, double timeoutS = 15)
    {
        var given = plan.ContainsKey("credentials") ? plan["credentials"] as List<object> : null;
        var credentials = paired && given != null ? new Credentials((string)given[0], secret ?? (string)given[1]) : null;
        return new VaguemestreClient(address ?? (string)plan["address"], credentials)
        {
            Actor = hasActor ? Someone : null, StartGrace = TimeSpan.Zero, Timeout = TimeSpan.FromSeconds(timeoutS),
        };
    }

    private static object Outcome(Func<object> work)
    {
        try { return work(); }
        catch (ApiProblem p)
        {
            var complete = new[] { p.Title, p.SupportId, p.Recovery }.All(t => !string.IsNullOrEmpty(t)) && p.Action != null;
            var pointers = p.Findings.Select(f => f.Pointer).OrderBy(t => t, StringComparer.Ordinal).ToList();
            return Map("problem", p.Code, "status", p.Status, "complete", complete, "pointers", pointers);
        }
        catch (Exception error) { return Map("error", error.GetType().Name); }
    }

    private static Dictionary<string, object> Metadata(params object[] change)
    {
        var value = new Dictionary<string, object>((Dictionary<string, object>)plan["metadata"]);
        foreach (var pair in Map(change)) value[pair.Key] = pair.Value;
        return value;
    }

    private static FilePart Pdf() { return new FilePart(Convert.FromBase64String((string)plan["pdf"]), "application/pdf"); }

    private static object Put(string reference, object metadata, FilePart body = null, string key = null, int attempts = 1)
    {
        var options = new CallOptions { IdempotencyKey = key, Attempts = attempts };
        var accepted = Client().PutDocument(reference, metadata, body ?? Pdf(), options: options);
        return Map("replayed", accepted.Replayed, "ref", accepted.Order.ClientRef);
    }

    private static void Problems()
    {
        var odd = Metadata("title", "Étrange \ud83d\ude00 \"\\");
        Say("unpaired health", Outcome(() => Map("ready", Client(paired: false).GetHealth().Ready)));
        Say("no credentials", Outcome(() => Client(paired: false).ListOrders()));
        Say("wrong secret", Outcome(() => Client(secret: new string('0', 43)).ListOrders()));
        Say("scope missing", Outcome(() => Client().ListClients()));
        Say("unknown order", Outcome(() => Client().GetOrder("o-000000000000000000000000")));
        Say("no actor", Outcome(() => Client(hasActor: false).PutDocument("cr-a", Metadata(), Pdf())));
        Say("metadata refused", Outcome(() => Put("cr-b", Metadata("type_code", 5L, "author", null))));
        Say("strange reference", Outcome(() => Put(Strange, odd, key: "k-strange", attempts: 3)));
        Say("strange reference again", Outcome(() => Put(Strange, odd, key: "k-strange")));
        Say("same key, other content", Outcome(() => Put("cr-c", Metadata("title", "Autre"), key: "k-strange")));
        Say("strange reference read", Outcome(() => Map("orders", Client().GetDocument(Strange).Orders.Count)));
        Say("title read", Outcome(() => Map("title", Client().ListOrders(state: new[] { "preparing", "deferred", "ready" }, titles: true, limit: 5).Orders[0].Title)));
        Say("too large", Outcome(() => Put("cr-d", Metadata(), new FilePart(new byte[26000001], "application/pdf"))));
        Say("query refused", Outcome(() => Client().ListOrders(limit: 100000)));
        Say("pairing code wrong", Outcome(() => Client(paired: false).Pair(new PairingRequest { Code = "0000-0000", Name = "x" })));
        Say("nobody there", Outcome(() => Client((string)plan["address"] + ".absent").GetHealth()));
    }

    private static void Resume()
    {
        var items = new List<object>();
        foreach (var item in Client().StreamEvents(after: 1))
        {
            items.Add(item.Change != null ? (object)item.Change.Line.Seq : item.Event);
            if (items.Count == 2) break;
        }
        Say("from the second change", items);
        foreach (var item in Client().StreamEvents(after: 1000000))
        {
            Say("ahead", Map("event", item.Event, "reason", item.Resync.Reason));
            break;
        }
    }

    private static void Follow()
    {
        foreach (var item in Client().Follow())
        {
            if (item.Snapshot != null && item.Snapshot.Last) Say("ready", item.Snapshot.At);
            if (item.Change == null) continue;
            Say("change", item.Change.Line.Seq);
            if (item.Change.Order != null && item.Change.Order.ClientRef == (string)plan["until"]) return;
        }
    }

    private static void Scripted()
    {
        foreach (List<object> pair in (List<object>)plan["addresses"])
        {
            var name = (string)pair[0];
            var agent = Client((string)pair[1], timeoutS: 1.5);
            if (name.StartsWith("stream"))
                Say(name, Outcome(() => agent.StreamEvents(options: new CallOptions { Timeout = TimeSpan.FromSeconds(1.5) })
                    .Select(i => new object[] { i.Event, i.Resync == null ? null : i.Resync.Reason, i.ResumeAfter }).ToList()));
            else Say(name, Outcome(() => Map("version", agent.GetHealth().Version)));
        }
    }

    private static void Main()
    {
        Console.InputEncoding = Encoding.UTF8;
        Console.SetOut(new System.IO.StreamWriter(Console.OpenStandardOutput(), new UTF8Encoding(false)));
        plan = (Dictionary<string, object>)Json.Read(new System.IO.StreamReader(Console.OpenStandardInput(), Encoding.UTF8).ReadToEnd(), "plan");
        new Dictionary<string, Action> { { "problems", Problems }, { "resume", Resume }, { "follow", Follow }, { "scripted", Scripted } }[(string)plan["run"]]();
    }
}
