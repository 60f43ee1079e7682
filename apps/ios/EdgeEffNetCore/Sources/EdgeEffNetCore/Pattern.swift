/// The kinds of text that several formats share.
enum Pattern {
    /// - Throws: `InputError` unless `text` is exactly `count` lower-case hexadecimal digits.
    static func requireHex(_ text: String, count: Int, name: String) throws {
        guard text.utf8.count == count, text.utf8.allSatisfy({ (48...57).contains($0) || (97...102).contains($0) })
        else {
            throw InputError("\"\(name)\" is \"\(text)\"; \(count) hexadecimal digits are needed.")
        }
    }

    static func requireSHA256(_ text: String, name: String) throws {
        try requireHex(text, count: 64, name: name)
    }
}
