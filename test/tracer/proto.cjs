// Whether each request of a collector is what OTLP's proto says: each member known, each value of its type. Prints how many
// spans there were.
//
// usage: node proto.cjs MODULES BODIES
const fs = require('fs'), path = require('path');
const [, , modules, bodies] = process.argv;
const proto = require(path.join(modules, 'node_modules/@opentelemetry/otlp-transformer/build/src/generated/root.js')).opentelemetry.proto;
const Request = proto.collector.trace.v1.ExportTraceServiceRequest;
// In OTLP's JSON ids are hex digits, where the proto's own has base64.
const ids = new Set(['traceId', 'spanId', 'parentSpanId']);
const bytes = (key, value) => {
	if (!ids.has(key)) return value;
	if (!new RegExp(key === 'traceId' ? '^[0-9a-f]{32}$' : '^[0-9a-f]{16}$').test(value)) throw Error(`${key} is ${value}`);
	return Buffer.from(value, 'hex').toString('base64');
};
let spans = 0;
for (const line of fs.readFileSync(bodies, 'utf8').split('\n').filter(line => line)) {
	const asked = JSON.parse(line, bytes);
	const known = Request.toObject(Request.decode(Request.encode(Request.fromObject(asked)).finish()), {longs: String, bytes: String});
	const same = (want, is, where) => {
		if (want !== null && typeof want === 'object') {
			for (const key of Object.keys(want)) same(want[key], is?.[key], `${where}.${key}`);
		} else if (want !== is && !(where.endsWith('Value') && String(want) === is && typeof want === 'string')) {
			throw Error(`${where} is ${JSON.stringify(want)}, and the proto has ${JSON.stringify(is)}`);
		}
	};
	same(asked, known, 'request');
	for (const {scopeSpans} of asked.resourceSpans) for (const scope of scopeSpans) for (const span of scope.spans) {
		if (proto.trace.v1.Span.SpanKind[span.kind] === undefined) throw Error(`there is no kind ${span.kind}`);
		if (span.status && proto.trace.v1.Status.StatusCode[span.status.code] === undefined) throw Error(`there is no status ${span.status.code}`);
		spans++;
	}
}
console.log(`${spans} spans`);
