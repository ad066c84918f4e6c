using Kernels.References.Fuzzing;
using Kernels.Tools.Operations;

namespace Kernels.Tools.Fuzzing;

/// <summary>What is fuzzed by one thread: our kernels on a device, or on several that are compared, or a program.</summary>
internal sealed class Implementation : IDisposable
{
    private readonly Session[] _sessions;
    private readonly string[] _program;
    private readonly string _folder;
    private readonly Agreement _agreement;

    private Implementation(Session[] sessions, string[] program, string folder, Agreement agreement) =>
        (_sessions, _program, _folder, _agreement) = (sessions, program, folder, agreement);

    /// <summary>Our kernels.</summary>
    /// <param name="devices">The devices; null is the best.</param>
    /// <param name="open">Opens one.</param>
    /// <param name="agreement">Counts in how many cases the devices agree.</param>
    internal static Implementation On(IEnumerable<string?> devices, Func<string?, Session> open, Agreement agreement)
    {
        var sessions = new List<Session>();
        try
        {
            foreach (string? device in devices)
            {
                sessions.Add(open(device));
            }
        }
        catch
        {
            sessions.ForEach(session => session.Dispose());
            throw;
        }

        return new Implementation([.. sessions], [], "", agreement);
    }

    /// <summary>A program.</summary>
    /// <param name="program">It and its first arguments.</param>
    /// <param name="folder">Where case.json and out.json go; no other thread's.</param>
    internal static Implementation Of(string[] program, string folder) => new([], program, folder, new Agreement());

    /// <summary>What gives the outputs of a case: of several devices those that are wrong, or nearest to it.</summary>
    internal Func<FuzzCase, IReadOnlyDictionary<string, FuzzTensor>?> Of(FuzzTarget target)
    {
        Operation operation = OperationCatalog.Find(target.Name);
        return _program.Length > 0 ? new ExternalProgram(_program, operation, _folder).Run
            : _sessions is [Session one] ? new OperationUnderTest(one, operation).Run
            : given => Worst(target, given);
    }

    /// <summary>What each of several devices makes of a case.</summary>
    internal IEnumerable<(string Device, FuzzVerdict Verdict)> Each(FuzzTarget target, FuzzCase given)
    {
        Operation operation = OperationCatalog.Find(target.Name);
        return _sessions.Select(
            session => (session.Device, Fuzzer.Try(target, given, new OperationUnderTest(session, operation).Run)));
    }

    public void Dispose() => Array.ForEach(_sessions, session => session.Dispose());

    private IReadOnlyDictionary<string, FuzzTensor> Worst(FuzzTarget target, FuzzCase given)
    {
        Operation operation = OperationCatalog.Find(target.Name);
        var outputs = new IReadOnlyDictionary<string, FuzzTensor>[_sessions.Length];
        int worst = 0;
        double share = -1;
        for (int i = 0; i < outputs.Length; i++)
        {
            outputs[i] = new OperationUnderTest(_sessions[i], operation).Run(given);
            FuzzVerdict verdict = target.Judge(given, outputs[i]);
            if (verdict.Failure is not null)
            {
                return outputs[i];
            }

            (worst, share) = verdict.WorstShare > share ? (i, verdict.WorstShare) : (worst, share);
        }

        _agreement.Count(target.Name, outputs);
        return outputs[worst];
    }
}
