-- Tells pushgate of every change in every folder: new mail, flags, deletions, folders made and renamed.
--
-- For Dovecot 2.3 with lua-socket and lua-cjson (Debian's names); pushgate-lua.conf beside this file loads
-- it. One transaction of Dovecot becomes at most one request with one entry a folder and kind of change, whatever number
-- of messages it touched. No subject, sender or text leaves Dovecot.
--
-- The request is synchronous: a mail delivery or an IMAP command waits for it. So the time-out is short, and a failure is
-- logged and forgotten: a pushgate that was away asks the backend about everything when it comes back.

local http = require "socket.http"
local ltn12 = require "ltn12"
local json = require "cjson"

http.TIMEOUT = 0.5 -- seconds; pushgate answers in a millisecond

-- Entries of one request; a transaction that touches more folders is reported as "everything of this mailbox".
local entries_max = 100

local function note(transaction, event)
  local key = event.name .. "\0" .. (event.mailbox or "")
  if transaction.seen[key] then
    -- The last message stands for all of them.
    transaction.seen[key].uid = event.uid
    return
  end
  local entry = {
    user = transaction.user,
    event = event.name,
    folder = event.mailbox,
    uidvalidity = event.uid_validity,
    uid = event.uid,
  }
  -- Tells pushgate which of its canaries this is.
  if event.subject and event.subject:find("^pushgate canary ") then
    entry.subject = event.subject
  end
  transaction.seen[key] = entry
  table.insert(transaction.entries, entry)
end

local function send(url, entries)
  local body = json.encode(entries)
  local sent, status = http.request {
    url = url,
    method = "PUT",
    headers = { ["Content-Type"] = "application/json", ["Content-Length"] = #body },
    source = ltn12.source.string(body),
  }
  if not sent then
    dovecot.i_warning("pushgate: not notified: " .. tostring(status))
  elseif status >= 300 then
    dovecot.i_warning("pushgate: notification refused with HTTP " .. status)
  end
end

function dovecot_lua_notify_begin_txn(user)
  return { user = user.username, url = user:plugin_getenv("pushgate_url"), entries = {}, seen = {} }
end

dovecot_lua_notify_event_message_new = note
dovecot_lua_notify_event_message_append = note
dovecot_lua_notify_event_message_expunge = note
dovecot_lua_notify_event_message_read = note
dovecot_lua_notify_event_message_trash = note
dovecot_lua_notify_event_flags_set = note
dovecot_lua_notify_event_flags_clear = note
dovecot_lua_notify_event_mailbox_create = note
dovecot_lua_notify_event_mailbox_delete = note
dovecot_lua_notify_event_mailbox_rename = note

function dovecot_lua_notify_end_txn(transaction, success)
  if not success or #transaction.entries == 0 then
    return
  end
  if not transaction.url or transaction.url == "" then
    dovecot.i_error("pushgate: plugin/pushgate_url is not set")
    return
  end
  if #transaction.entries > entries_max then
    transaction.entries = { { user = transaction.user, event = "FlagsSet" } }
  end
  send(transaction.url, transaction.entries)
end
