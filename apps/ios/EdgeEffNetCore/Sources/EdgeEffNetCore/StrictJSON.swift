import Foundation

/// JSON where every key counts: one that is missing, of the wrong kind or unknown is refused by name.
public enum StrictJSON {
    /// - Parameter name: the file's, for the sentence.
    /// - Throws: `InputError`.
    public static func decode<Value: Codable>(_ type: Value.Type, from data: Data, name: String) throws -> Value {
        do {
            let value = try JSONDecoder().decode(type, from: data)
            // Decoders skip what they do not know; so an unknown key is one that does not survive the way back.
            try refuseUnknownKeys(
                in: JSONSerialization.jsonObject(with: data),
                known: JSONSerialization.jsonObject(with: encode(value)))
            return value
        } catch let error as DecodingError {
            throw InputError("\(name): \(error.sentence); it was cut off, edited or made by another version.")
        } catch let error as InputError {
            throw InputError("\(name): \(error.message)")
        }
    }

    /// Sorted keys, slashes as they are: the same content is the same bytes.
    public static func encode<Value: Encodable>(_ value: Value, pretty: Bool = false) throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        if pretty { encoder.outputFormatting.insert(.prettyPrinted) }
        return try encoder.encode(value)
    }

    private static func refuseUnknownKeys(in got: Any, known: Any) throws {
        if let got = got as? [String: Any], let known = known as? [String: Any] {
            if let unknown = got.keys.filter({ known[$0] == nil }).min() {
                throw InputError("it has the unknown key \"\(unknown)\"; it was made by another version.")
            }
            for (key, value) in got {
                if let counterpart = known[key] { try refuseUnknownKeys(in: value, known: counterpart) }
            }
        } else if let got = got as? [Any], let known = known as? [Any] {
            for (element, counterpart) in zip(got, known) { try refuseUnknownKeys(in: element, known: counterpart) }
        }
    }
}

/// A key that is always there and may be null: a plain optional would be left out of the file when it is nil.
@propertyWrapper
public struct Nullable<Value: Codable & Equatable & Sendable>: Codable, Equatable, Sendable {
    public var wrappedValue: Value?

    public init(wrappedValue: Value?) {
        self.wrappedValue = wrappedValue
    }

    public init(from decoder: Decoder) throws {
        let container = try decoder.singleValueContainer()
        wrappedValue = container.decodeNil() ? nil : try container.decode(Value.self)
    }

    public func encode(to encoder: Encoder) throws {
        var container = encoder.singleValueContainer()
        if let wrappedValue { try container.encode(wrappedValue) } else { try container.encodeNil() }
    }
}

extension DecodingError {
    /// What is wrong, without the framework's vocabulary.
    var sentence: String {
        switch self {
        case .keyNotFound(let key, let context):
            return "the key \"\(Self.path(context.codingPath + [key]))\" is missing"
        case .typeMismatch(_, let context), .valueNotFound(_, let context):
            return "\"\(Self.path(context.codingPath))\" is of the wrong kind"
        case .dataCorrupted(let context) where context.codingPath.isEmpty:
            return "it is no JSON"
        case .dataCorrupted(let context):
            return "\"\(Self.path(context.codingPath))\" has a value that is not allowed"
        @unknown default:
            return "it is not readable"
        }
    }

    private static func path(_ keys: [CodingKey]) -> String {
        keys.map { $0.intValue.map(String.init) ?? $0.stringValue }.joined(separator: ".")
    }
}
