import EdgeEffNetCore
import Foundation

/// The job folders in the app's Documents: imported ones, and those that Finder or Files put there.
enum JobStore {
    private static var root: URL { .documentsDirectory }

    /// Readable jobs by name; a folder that is none is not listed, importing it says what is wrong.
    static func jobs() throws -> [JobFolder] {
        try FileManager.default.contentsOfDirectory(at: root, includingPropertiesForKeys: nil)
            .sorted { $0.lastPathComponent < $1.lastPathComponent }
            .compactMap { try? JobFolder($0) }
    }

    /// Copies a job into Documents. What an earlier run of the same job left there stays, so that it goes on.
    ///
    /// - Throws: `InputError` if the folder holds no job; what the file system throws, such as a lack of space.
    static func add(_ picked: URL) throws -> JobFolder {
        let isScoped = picked.startAccessingSecurityScopedResource()
        defer { if isScoped { picked.stopAccessingSecurityScopedResource() } }
        let source = try JobFolder(picked)
        let target = root.appendingPathComponent("job-\(source.job.id)")
        let files = FileManager.default
        try files.createDirectory(at: target, withIntermediateDirectories: true)
        for name in source.files {
            let copy = target.appendingPathComponent(name)
            if files.fileExists(atPath: copy.path) { try files.removeItem(at: copy) }
            try files.copyItem(at: picked.appendingPathComponent(name), to: copy)
        }
        return try JobFolder(target)
    }

    static func remove(_ folder: JobFolder) throws {
        try FileManager.default.removeItem(at: folder.url)
    }
}
