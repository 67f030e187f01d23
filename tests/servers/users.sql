-- The table SOGo authenticates against: one row a user, plain passwords.
create table users (c_uid varchar primary key, c_name varchar, c_password varchar, c_cn varchar, mail varchar);
insert into users
  select name, name, 'test', 'User ' || i, name
  from (select i, 'u' || i || '@example.test' as name from generate_series(1, :users) as i) as numbered;
