-- Who may log in, for SOGo and Dovecot: one row a user. c_password says its scheme, such as {SHA512-CRYPT}$6$…
create table users (
  c_uid varchar primary key,
  c_name varchar not null,
  c_password varchar not null,
  c_cn varchar not null,
  mail varchar not null
);
