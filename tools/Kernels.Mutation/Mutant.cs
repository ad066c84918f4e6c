using Microsoft.CodeAnalysis.Text;

namespace Kernels.Mutation;

/// <summary>One change of a source file.</summary>
/// <param name="Line">The line, from 1 on.</param>
/// <param name="Member">As in <c>AdamRule.Apply</c>.</param>
/// <param name="Change">The change.</param>
/// <param name="Old">The lines that change, in one line.</param>
/// <param name="New">The same lines changed.</param>
internal sealed record Mutant(int Line, string Member, TextChange Change, string Old, string New);
