using System.Reflection;
using Kernels.Cuda;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Optimizers;
using Kernels.DeviceCode.Storage;
using Kernels.Tools.Inspection;

namespace Kernels.Tests.Cuda;

/// <summary>What is kept of kernels is found by its key alone, whole or not at all.</summary>
public sealed class PtxCacheTests : IDisposable
{
    private const string Key = "a kernel | sm_80 | a build";
    private const string Ptx = ".version 7.0\n.target sm_80\n\n// \u00b5\n";

    private readonly string _folder = Directory.CreateTempSubdirectory("kernels-ptx-").FullName;

    private PtxCache Cache => PtxCache.Open(Path.Combine(_folder, "deeper"))!;

    [Fact]
    public void What_is_kept_is_found_by_its_key_alone()
    {
        Assert.Null(Cache.Find(Key));
        Cache.Keep(Key, Ptx);
        Assert.Equal(Ptx, Cache.Find(Key));
        Assert.Null(Cache.Find(Key + " of another day"));
        Cache.Keep(Key, Ptx + "//");
        Assert.Equal(Ptx + "//", Cache.Find(Key));
        Assert.Single(Directory.GetFiles(Cache.Folder));
    }

    [Fact]
    public void A_damaged_entry_is_not_found()
    {
        Cache.Keep(Key, Ptx);
        byte[] whole = File.ReadAllBytes(Cache.FileOf(Key));
        for (int i = 0; i < whole.Length; i++)
        {
            byte[] damaged = [.. whole];
            damaged[i] ^= 4;
            File.WriteAllBytes(Cache.FileOf(Key), damaged);
            Assert.Null(Cache.Find(Key));
            File.WriteAllBytes(Cache.FileOf(Key), whole[..i]);
            Assert.Null(Cache.Find(Key));
        }

        File.WriteAllBytes(Cache.FileOf(Key), [.. whole, 0]);
        Assert.Null(Cache.Find(Key));
        Cache.Keep(Key, Ptx);
        Assert.Equal(Ptx, Cache.Find(Key));
    }

    [Fact]
    public void An_entry_of_another_key_or_of_another_program_is_not_found()
    {
        Cache.Keep("another kernel", Ptx);
        File.Move(Cache.FileOf("another kernel"), Cache.FileOf(Key));
        Assert.Null(Cache.Find(Key));
        File.WriteAllText(Cache.FileOf(Key), Ptx);
        Assert.Null(Cache.Find(Key));
        File.Delete(Cache.FileOf(Key));
        Directory.CreateDirectory(Cache.FileOf(Key));
        Assert.Null(Cache.Find(Key));
        Cache.Keep(Key, Ptx); // cannot be
        Assert.Null(Cache.Find(Key));
        Assert.Empty(Directory.GetFiles(Cache.Folder));
    }

    [Fact]
    public void A_folder_that_cannot_be_keeps_nothing_and_fails_nothing()
    {
        File.WriteAllText(Path.Combine(_folder, "deeper"), "a file");
        Cache.Keep(Key, Ptx);
        Assert.Null(Cache.Find(Key));
        Assert.Null(PtxCache.Open(""));
    }

    [Fact]
    public void Many_at_once_read_whole_entries_or_none()
    {
        string[] texts = [.. Enumerable.Range(0, 8).Select(i => new string((char)('a' + i), 20_000))];
        int found = 0;
        Parallel.For(0, 200, i =>
        {
            Cache.Keep(Key, texts[i % texts.Length]);
            if (Cache.Find(Key) is { } text)
            {
                Assert.Contains(text, texts, StringComparer.Ordinal);
                Interlocked.Increment(ref found);
            }
        });
        Assert.True(found > 0);
        Assert.Single(Directory.GetFiles(Cache.Folder));
    }

    [Fact]
    public void Keys_differ_by_kernel_storage_rule_target_and_build()
    {
        MethodInfo elements = DeviceKernels.MethodOf("optimizers/update.elements");
        MethodInfo[] kernels =
        [
            Of(elements, typeof(AdamRule), typeof(F32), typeof(F32)), Of(elements, typeof(AdamRule), typeof(BF16), typeof(F32)),
            Of(elements, typeof(AdamRule), typeof(F32), typeof(BF16)), Of(elements, typeof(LionRule), typeof(F32), typeof(F32)),
            Of(DeviceKernels.MethodOf("optimizers/update.packets"), typeof(AdamRule), typeof(F32), typeof(F32)),
            DeviceKernels.Instances("linear/matmul.tile")[0].Method,
        ];
        string[] keys =
        [
            .. from kernel in kernels
               from target in (string[])["sm_80 8.0", "sm_90 8.0", "sm_80 8.4"]
               select PtxKey.Of(kernel, target),
        ];
        Assert.Equal(keys.Length, keys.Distinct(StringComparer.Ordinal).Count());
        Assert.Equal(keys[0], PtxKey.Of(kernels[0], "sm_80 8.0"));
        foreach (string key in keys)
        {
            Assert.DoesNotContain('\n', key);
            foreach (Type type in (Type[])[typeof(DeviceKernelAttribute), typeof(PtxCache), typeof(ILGPU.Context)])
            {
                Assert.Contains(type.Module.ModuleVersionId.ToString("N"), key, StringComparison.Ordinal);
            }
        }

        // A rule of an assembly of its own brings the build of that assembly along.
        Assert.Contains(
            typeof(PtxCacheTests).Module.ModuleVersionId.ToString("N"),
            PtxKey.Of(((Action<Mixed, byte, ILGPU.ArrayView<float>>)TestKernels.Spread).Method, ""), StringComparison.Ordinal);

        static MethodInfo Of(MethodInfo method, params ReadOnlySpan<Type> types) =>
            method.MakeGenericMethod([.. types, typeof(NoExtras)]);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);
}
