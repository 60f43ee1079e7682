package org.edgeeffnet.core.json

import org.edgeeffnet.core.InputException
import org.json.JSONArray
import org.json.JSONException
import org.json.JSONObject
import org.json.JSONTokener

/**
 * One object of a JSON document, read strictly: `org.json` turns `"1"` into 1 and ignores what it does not know, and a
 * format that is shared with Python must do neither.
 *
 * @property where names the object in messages: `job.json: program`.
 */
class JsonFields private constructor(
    private val json: JSONObject,
    private val where: String,
) {
    /** Refuses missing and unknown keys. */
    fun exactly(vararg keys: String) {
        val found = json.keys().asSequence().toSet()
        (keys.toSet() - found).firstOrNull()?.let { throw InputException("$where: \"$it\" is missing.") }
        (found - keys.toSet()).firstOrNull()?.let { throw InputException("$where: unknown key \"$it\".") }
    }

    fun has(key: String): Boolean = json.has(key)

    fun text(key: String): String = textOrNull(key) ?: throw wrong(key, "a string")

    fun textOrNull(key: String): String? = typed(key, "a string or null") { it as? String }

    fun flag(key: String): Boolean = typed(key, "true or false") { it as? Boolean } ?: throw wrong(key, "true or false")

    fun integer(
        key: String,
        range: IntRange = 0..Int.MAX_VALUE,
    ): Int {
        val wanted = "a whole number from ${range.first} to ${range.last}"
        val value = typed(key, wanted, ::whole) ?: throw wrong(key, wanted)
        if (value !in range.first.toLong()..range.last.toLong()) throw wrong(key, wanted)
        return value.toInt()
    }

    fun long(key: String): Long = longOrNull(key) ?: throw wrong(key, WHOLE)

    fun longOrNull(key: String): Long? = typed(key, WHOLE) { value -> whole(value)?.takeIf { it >= 0 } }

    fun numberOrNull(key: String): Double? = typed(key, "a number or null", ::finite)

    fun numbers(key: String): List<Double> = items(key, "numbers", read = ::finite)

    fun texts(key: String): List<String> = items(key, "strings") { it as? String }

    fun integers(key: String): List<Int> =
        items(key, "whole numbers") { value -> whole(value)?.takeIf { it in 1..Int.MAX_VALUE }?.toInt() }

    /** Positions in a list of [count], as many as there are. */
    fun indices(
        key: String,
        count: Int,
    ): List<Int> =
        items(key, "whole numbers from 0 to ${count - 1}", least = 0) { value ->
            whole(value)?.takeIf { it in 0 until count }?.toInt()
        }

    fun fields(key: String): JsonFields = fieldsOrNull(key) ?: throw wrong(key, "an object")

    fun fieldsOrNull(key: String): JsonFields? =
        typed(key, "an object or null") { value -> (value as? JSONObject)?.let { JsonFields(it, "$where: $key") } }

    /** The objects of a list of [least] or more. */
    fun list(
        key: String,
        least: Int = 1,
    ): List<JsonFields> {
        var index = 0
        return items(key, "objects", least) { value ->
            (value as? JSONObject)?.let { JsonFields(it, "$where: $key[${index++}]") }
        }
    }

    /** A text that [pattern] matches in full. */
    fun matching(
        key: String,
        pattern: Regex,
    ): String = text(key).also { if (!pattern.matches(it)) throw wrong(key, "text like $pattern") }

    private fun <T> items(
        key: String,
        wanted: String,
        least: Int = 1,
        read: (Any?) -> T?,
    ): List<T> {
        val array = value(key) as? JSONArray
        if (array == null || array.length() < least) throw wrong(key, "a list of $wanted, at least $least")
        return List(array.length()) { read(array.get(it)) ?: throw wrong(key, "a list of $wanted") }
    }

    private fun <T> typed(
        key: String,
        wanted: String,
        read: (Any?) -> T?,
    ): T? {
        val value = value(key)
        return if (value == JSONObject.NULL) null else read(value) ?: throw wrong(key, wanted)
    }

    private fun value(key: String): Any {
        if (!json.has(key)) throw InputException("$where: \"$key\" is missing.")
        return json.get(key)
    }

    private fun wrong(
        key: String,
        wanted: String,
    ) = InputException("$where: \"$key\" is ${json.opt(key).toString().take(SHOWN)}, need $wanted.")

    companion object {
        private const val SHOWN = 80
        private const val WHOLE = "a whole number that is not negative"

        /**
         * Reads a document that is one object and nothing else.
         *
         * @param where names the document in messages.
         * @throws InputException where [text] is no JSON object, or is cut off.
         */
        fun parse(
            text: String,
            where: String,
        ): JsonFields {
            val tokens = JSONTokener(text)
            try {
                val json = tokens.nextValue() as? JSONObject ?: throw InputException("$where: need one JSON object.")
                if (tokens.nextClean() != END) throw InputException("$where: something follows the JSON object.")
                return JsonFields(json, where)
            } catch (error: JSONException) {
                throw InputException("$where: no whole JSON document (${error.message}).", error)
            }
        }

        private const val END = '\u0000'

        private fun whole(value: Any?): Long? = (value as? Long) ?: (value as? Int)?.toLong()

        private fun finite(value: Any?): Double? = (value as? Number)?.toDouble()?.takeIf { it.isFinite() }
    }
}
