// The fields that every HPACK decoder knows from the start (RFC 7541 appendix A), by their index from 1 on.
import { type Field, newField } from './header-field.ts';

const ENTRIES = `:authority
:method GET
:method POST
:path /
:path /index.html
:scheme http
:scheme https
:status 200
:status 204
:status 206
:status 304
:status 400
:status 404
:status 500
accept-charset
accept-encoding gzip, deflate
accept-language
accept-ranges
accept
access-control-allow-origin
age
allow
authorization
cache-control
content-disposition
content-encoding
content-language
content-length
content-location
content-range
content-type
cookie
date
etag
expect
expires
from
host
if-match
if-modified-since
if-none-match
if-range
if-unmodified-since
last-modified
link
location
max-forwards
proxy-authenticate
proxy-authorization
range
referer
refresh
retry-after
server
set-cookie
strict-transport-security
transfer-encoding
user-agent
vary
via
www-authenticate`;

function fieldOfLine(line: string): Field {
  const space = line.indexOf(' ');
  return space < 0 ? newField(line, '') : newField(line.slice(0, space), line.slice(space + 1));
}

/** The entry at 0 is none: no index 0 exists, and decoders refuse it before they look. */
export const STATIC_TABLE: readonly Field[] = [newField('', ''), ...ENTRIES.split('\n').map(fieldOfLine)];

export const STATIC_ENTRIES = STATIC_TABLE.length - 1;
