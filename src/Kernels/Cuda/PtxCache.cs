using System.Security.Cryptography;
using System.Text;

namespace Kernels.Cuda;

/// <summary>
/// Compiled kernels in a folder, a file each. What cannot be read, is damaged or is of another key counts as not there,
/// and what cannot be written is not kept: the cache only saves time. Several processes may share a folder.
/// </summary>
/// <remarks>
/// A file is three lines and the PTX: the format, the key, and the SHA-256 of key and PTX in hexadecimal digits. Its
/// name is the SHA-256 of the key.
/// </remarks>
internal sealed class PtxCache
{
    /// <summary>The environment variable that names the folder; <c>off</c> keeps nothing.</summary>
    internal const string Variable = "KERNELS_PTX_CACHE";

    internal const string Format = "Kernels PTX 1";

    private PtxCache(string folder) => Folder = folder;

    internal string Folder { get; }

    /// <summary>The cache in that folder; null asks the environment; none where it is empty or the variable says off.</summary>
    internal static PtxCache? Open(string? folder)
    {
        if (folder is null)
        {
            folder = Environment.GetEnvironmentVariable(Variable);
            if (string.IsNullOrWhiteSpace(folder))
            {
                folder = DefaultFolder();
            }
            else if (string.Equals(folder.Trim(), "off", StringComparison.OrdinalIgnoreCase))
            {
                folder = "";
            }
        }

        return folder.Length == 0 ? null : new PtxCache(Path.GetFullPath(folder));
    }

    internal string FileOf(string key) => Path.Combine(Folder, Hash(key) + ".ptx");

    /// <summary>The PTX of that key, or null.</summary>
    internal string? Find(string key)
    {
        string text;
        try
        {
            text = File.ReadAllText(FileOf(key));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }

        string[] parts = text.Split('\n', 4);
        return parts.Length == 4 && parts.AsSpan(0, 3).SequenceEqual([Format, key, Hash(key + "\n" + parts[3])])
            ? parts[3]
            : null;
    }

    /// <summary>Keeps the PTX of that key, in the place of what is there.</summary>
    internal void Keep(string key, string ptx)
    {
        // Written aside and renamed, so that nobody reads half a file.
        string aside = Path.Combine(Folder, Path.GetRandomFileName());
        try
        {
            Directory.CreateDirectory(Folder);
            File.WriteAllText(aside, string.Join('\n', Format, key, Hash(key + "\n" + ptx), ptx));
            File.Move(aside, FileOf(key), overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Remove(aside);
        }
    }

    private static void Remove(string file)
    {
        try
        {
            File.Delete(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Then it stays; nobody reads a file of that name.
        }
    }

    // The folder for what can be made again: on Linux that is not the one for data, which .NET knows.
    private static string DefaultFolder()
    {
        string? cache = Environment.GetEnvironmentVariable("XDG_CACHE_HOME");
        if (OperatingSystem.IsWindows() || string.IsNullOrWhiteSpace(cache))
        {
            string home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
            cache = OperatingSystem.IsWindows() ? Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData)
                : home.Length == 0 ? "" : Path.Combine(home, ".cache");
        }

        // A user without a home keeps nothing.
        return cache.Length == 0 ? "" : Path.Combine(cache, "Kernels", "ptx");
    }

    private static string Hash(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
}
