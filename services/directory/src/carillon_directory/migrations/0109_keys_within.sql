-- Keys of a department's admin, and keys that a rights profile narrows.
alter table api_key add column department text not null default '', add column rights_profile text not null default '';
